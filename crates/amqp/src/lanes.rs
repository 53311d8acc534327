//! Lanes: in which queue a timer waits, and for how long. Pure.
//!
//! RabbitMQ dead-letters at the head of a queue only, so messages of different TTLs must not share one: a long one in
//! front would keep the short ones waiting. Hence one lane per TTL, and a choice among few of them.

use std::{collections::BTreeSet, time::Duration};

/// How much earlier than its deadline a timer parked in a lane of its own arrives: the expirer waits out the rest.
pub const LEAD: Duration = Duration::from_millis(500);

/// A lane fits while its message would arrive at least this much before the deadline.
const MARGIN: Duration = Duration::from_millis(50);

/// The shortest lane.
const SHORTEST: Duration = Duration::from_millis(500);

/// No lane of the ladder is longer.
const LONGEST: Duration = Duration::from_hours(1);

/// Where a timer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Route {
    /// Into the lane with this TTL.
    Lane(Duration),
    /// Straight to the queue of what is due.
    Due,
}

/// The lanes that there are: a ladder of powers of two from 0.5 s, and one for each usual hold time less the [`LEAD`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lanes {
    ttls: BTreeSet<Duration>,
}

impl Lanes {
    /// The ladder, and lanes for holds of these many milliseconds. A hold time too short for a lane gets none.
    #[must_use]
    pub fn new(hold_ttls_ms: &[u64]) -> Self {
        let ladder =
            std::iter::successors(Some(SHORTEST), |ttl| ttl.checked_mul(2)).take_while(|ttl| *ttl <= LONGEST);
        let own = hold_ttls_ms
            .iter()
            .map(|ttl_ms| Duration::from_millis(*ttl_ms).saturating_sub(LEAD))
            .filter(|ttl| *ttl >= SHORTEST);
        Self { ttls: ladder.chain(own).collect() }
    }

    /// The TTL of every lane, the shortest first.
    pub fn ttls(&self) -> impl Iterator<Item = Duration> {
        self.ttls.iter().copied()
    }

    /// Where a timer goes that has `remaining` left: the longest lane from which it comes back in time.
    #[must_use]
    pub fn choose(&self, remaining: Duration) -> Route {
        let longest = remaining.checked_sub(MARGIN).and_then(|limit| self.ttls.range(..=limit).next_back());
        longest.map_or(Route::Due, |ttl| Route::Lane(*ttl))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(value: u64) -> Duration {
        Duration::from_millis(value)
    }

    #[test]
    fn the_ladder_goes_from_half_a_second_to_less_than_an_hour() {
        let ttls: Vec<_> = Lanes::new(&[]).ttls().collect();
        assert_eq!(ttls.len(), 13);
        assert_eq!((ttls[0], ttls[1], ttls[12]), (ms(500), ms(1_000), ms(2_048_000)));
    }

    #[test]
    fn a_usual_hold_time_gets_a_lane_that_is_shorter_by_the_lead() {
        let lanes = Lanes::new(&[60_000, 600_000, 700]);
        assert_eq!(lanes.ttls().count(), 15);
        assert_eq!(lanes.choose(ms(60_000)), Route::Lane(ms(59_500)));
        assert_eq!(lanes.choose(ms(59_550)), Route::Lane(ms(59_500)));
        assert_eq!(lanes.choose(ms(59_549)), Route::Lane(ms(32_000)));
        assert_eq!(lanes.choose(ms(600_000)), Route::Lane(ms(599_500)));
    }

    #[test]
    fn what_no_lane_brings_back_in_time_is_due() {
        let lanes = Lanes::new(&[60_000]);
        assert_eq!(lanes.choose(ms(550)), Route::Lane(ms(500)));
        assert_eq!(lanes.choose(ms(549)), Route::Due);
        assert_eq!(lanes.choose(Duration::ZERO), Route::Due);
    }

    proptest! {
        #[test]
        fn the_choice_is_the_longest_lane_that_comes_back_in_time(
            hold_ttls_ms in prop::collection::vec(1..86_400_000_u64, 0..6), remaining in 0..100_000_000_u64,
        ) {
            let lanes = Lanes::new(&hold_ttls_ms);
            let fits = |ttl: &Duration| *ttl + MARGIN <= ms(remaining);
            let longest = lanes.ttls().filter(fits).max();
            prop_assert_eq!(lanes.choose(ms(remaining)), longest.map_or(Route::Due, Route::Lane));
        }

        #[test]
        fn parking_again_and_again_ends_soon_and_never_late(remaining in 0..86_400_000_u64) {
            let lanes = Lanes::new(&[]);
            let mut left = ms(remaining);
            let mut parked = 0;
            while let Route::Lane(ttl) = lanes.choose(left) {
                prop_assert!(ttl + MARGIN <= left);
                left -= ttl;
                parked += 1;
            }
            prop_assert!(left < SHORTEST + MARGIN);
            prop_assert!(parked <= 60, "{} times", parked);
        }
    }
}
