//! When to ask about which timers: park the far ones again, wait here for the near ones. Pure.

use std::{collections::BTreeMap, time::Duration};

use amqp::{Lanes, MAX_TIMERS, Route, Timer};
use proto::catalog::HoldKey;

/// What has no more than this left waits here. More than any lane's timer has left when it arrives, and no more, because
/// what waits here keeps others in the queue.
const IN_HAND: Duration = Duration::from_secs(1);
/// Holds whose deadlines are no farther apart are asked about together.
const TOGETHER: Duration = Duration::from_millis(1);
/// The most holds that are asked about together.
const MAX_CHUNK: usize = 50;

/// A timer, and how much time is left to its hold as far as is known here.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pending {
    /// The timer.
    pub(crate) timer: Timer,
    /// The time left.
    pub(crate) left: Duration,
}

/// Holds to ask about together, after some time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chunk {
    /// The holds.
    pub(crate) keys: Vec<HoldKey>,
    /// How long to wait first.
    pub(crate) wait: Duration,
}

/// What to do with the timers of a message.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// These are parked again, a message each.
    pub(crate) park: Vec<(Route, Vec<Timer>)>,
    /// These are asked about from here.
    pub(crate) ask: Vec<Chunk>,
}

/// Plans for timers in any order.
pub(crate) fn plan(mut pending: Vec<Pending>, lanes: &Lanes) -> Plan {
    pending.sort_by_key(|pending| pending.left);
    let far = pending.partition_point(|pending| pending.left <= IN_HAND);
    let far = pending.split_off(far);
    Plan { park: park(far, lanes), ask: ask(pending) }
}

fn park(far: Vec<Pending>, lanes: &Lanes) -> Vec<(Route, Vec<Timer>)> {
    let mut timers_by_route: BTreeMap<Route, Vec<Timer>> = BTreeMap::new();
    for Pending { timer, left } in far {
        timers_by_route.entry(lanes.choose(left)).or_default().push(timer);
    }
    let messages = timers_by_route.into_iter().flat_map(|(route, timers)| {
        let parts = timers.chunks(MAX_TIMERS).map(move |part| (route, part.to_vec()));
        parts.collect::<Vec<_>>()
    });
    messages.collect()
}

/// A chunk waits for the last of its holds: none is asked about before its time.
fn ask(near: Vec<Pending>) -> Vec<Chunk> {
    let mut chunks: Vec<Chunk> = Vec::new();
    let mut first = Duration::ZERO;
    for Pending { timer, left } in near {
        match chunks.last_mut() {
            Some(chunk) if left <= first + TOGETHER && chunk.keys.len() < MAX_CHUNK => {
                chunk.keys.push(timer.key);
                chunk.wait = left;
            }
            _ => {
                chunks.push(Chunk { keys: vec![timer.key], wait: left });
                first = left;
            }
        }
    }
    chunks
}

/// Holds to ask about at once.
pub(crate) fn chunks(keys: &[HoldKey]) -> impl Iterator<Item = Vec<HoldKey>> {
    keys.chunks(MAX_CHUNK).map(<[HoldKey]>::to_vec)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn pending(n: usize, left: Duration) -> Pending {
        let key = HoldKey { booking_id: n.to_string(), attempt: 1 };
        Pending { timer: Timer { key, expires_at: datetime!(2026-11-22 10:00:00 UTC) + left }, left }
    }

    const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn a_timer_that_came_back_from_any_lane_is_waited_out_here() {
        for left in [ms(500), ms(549), ms(50), Duration::ZERO] {
            let plan = plan(vec![pending(1, left)], &Lanes::new(&[]));
            assert_eq!(plan.ask, [Chunk { keys: vec![pending(1, left).timer.key], wait: left }]);
            assert!(plan.park.is_empty());
        }
    }

    #[test]
    fn a_far_deadline_is_parked_in_the_lane_that_fits() {
        let far = pending(1, ms(60_000));
        let plan = plan(vec![far.clone()], &Lanes::new(&[60_000]));
        assert_eq!(plan.park, [(Route::Lane(ms(59_500)), vec![far.timer])]);
        assert!(plan.ask.is_empty());
    }

    #[test]
    fn holds_of_one_moment_are_asked_about_together_at_the_last_of_their_deadlines() {
        let micros = |n, left| pending(n, Duration::from_micros(left));
        let plan = plan(vec![micros(2, 900), micros(1, 100), micros(3, 1_200)], &Lanes::new(&[]));
        assert_eq!(plan.ask.len(), 2);
        assert_eq!(plan.ask[0].wait, Duration::from_micros(900));
        assert_eq!(plan.ask[0].keys.len(), 2);
    }

    proptest! {
        #[test]
        fn every_timer_is_planned_once_and_none_before_its_time(
            lefts in prop::collection::vec(prop_oneof![Just(0), 0..5_000_u64, 0..3_000_000_u64], 0..300),
        ) {
            let lanes = Lanes::new(&[60_000]);
            let all: Vec<_> = lefts.iter().enumerate().map(|(n, left)| pending(n, ms(*left))).collect();
            let plan = plan(all, &lanes);
            let mut seen = BTreeSet::new();
            for chunk in &plan.ask {
                prop_assert!(chunk.keys.len() <= MAX_CHUNK && chunk.wait <= IN_HAND);
                for key in &chunk.keys {
                    let n: usize = key.booking_id.parse().unwrap();
                    prop_assert!(ms(lefts[n]) <= chunk.wait && chunk.wait <= ms(lefts[n]) + TOGETHER);
                    prop_assert!(seen.insert(n));
                }
            }
            for (route, timers) in &plan.park {
                let Route::Lane(ttl) = route else { panic!("what is far fits a lane") };
                for timer in timers {
                    let n: usize = timer.key.booking_id.parse().unwrap();
                    prop_assert!(*ttl < ms(lefts[n]));
                    prop_assert!(seen.insert(n));
                }
            }
            prop_assert_eq!(seen.len(), lefts.len());
        }
    }
}
