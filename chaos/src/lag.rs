//! How late holds ran out: while everything was up, and over all.

use std::time::Duration;

use serde::Serialize;

use crate::books::Books;
use crate::fault::Happened;
use crate::history::State;
use crate::time::Time;

/// After a fault is mended it takes clients, servers and the sweep so long to have caught up.
const AFTERMATH: Duration = Duration::from_secs(3);

/// How late holds were back on sale, after their deadlines.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Lag {
    /// How many holds.
    pub holds: usize,
    /// Half of them no later than this.
    pub p50_ms: u64,
    /// 99 of 100 no later than this.
    pub p99_ms: u64,
    /// The latest.
    pub longest_ms: u64,
}

/// The lags of a run.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Lags {
    /// Of holds that fell due while everything was up, and stayed so for a while.
    pub calm: Lag,
    /// Of all, outages included.
    pub overall: Lag,
}

impl Lags {
    /// Measures.
    #[must_use]
    pub fn of(books: &Books, faults: &[Happened], end: Time) -> Self {
        let busy = merged(faults);
        let (mut calm, mut overall) = (Vec::new(), Vec::new());
        for (id, record) in &books.bookings {
            let expiry = record.steps.last().filter(|step| step.to == State::Expired);
            let deadline =
                expiry.filter(|step| step.from != Some(State::Initiated)).and_then(|step| step.deadline);
            let released = books.holds.get(id).and_then(|hold| hold.released);
            if let (Some(deadline), Some(released)) = (deadline, released) {
                let late = released.since(deadline);
                overall.push(late);
                if deadline < end && is_calm(&busy, deadline) {
                    calm.push(late);
                }
            }
        }
        Self { calm: Lag::of(calm), overall: Lag::of(overall) }
    }
}

impl Lag {
    fn of(mut lags: Vec<Duration>) -> Self {
        lags.sort_unstable();
        let at = |share: usize| {
            let lag = lags.get((lags.len() * share / 100).min(lags.len().saturating_sub(1)));
            lag.map_or(0, |lag| u64::try_from(lag.as_millis()).unwrap_or(u64::MAX))
        };
        Self { holds: lags.len(), p50_ms: at(50), p99_ms: at(99), longest_ms: at(100) }
    }
}

/// The times in which something was broken or had just been, in their order, none touching another.
fn merged(faults: &[Happened]) -> Vec<(Time, Time)> {
    let mut times: Vec<(Time, Time)> =
        faults.iter().map(|fault| (fault.from, fault.to.plus(AFTERMATH))).collect();
    times.sort_unstable();
    let mut merged: Vec<(Time, Time)> = Vec::new();
    for (from, to) in times {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// Whether nothing was broken at that time, nor for a while after it.
fn is_calm(busy: &[(Time, Time)], at: Time) -> bool {
    let next = busy.partition_point(|(_, to)| *to < at);
    busy.get(next).is_none_or(|(from, _)| at.plus(AFTERMATH) < *from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(second: i64) -> Time {
        Time::from_micros(second * 1_000_000)
    }

    #[test]
    fn it_is_calm_when_nothing_is_broken_nor_was_or_will_be_soon() {
        let fault = |from, to| Happened {
            kind: "",
            target: String::new(),
            timers: 0,
            from: second(from),
            to: second(to),
        };
        let busy = merged(&[fault(30, 31), fault(10, 12), fault(11, 14)]);
        assert_eq!(busy, [(second(10), second(17)), (second(30), second(34))]);
        let calm = |at| is_calm(&busy, second(at));
        assert!(calm(5) && calm(18) && calm(26) && calm(35));
        assert!(!calm(8) && !calm(10) && !calm(16) && !calm(28) && !calm(33));
    }

    #[test]
    fn the_longest_lag_is_the_longest() {
        let lag = Lag::of((1..=200).map(Duration::from_millis).collect());
        assert_eq!((lag.holds, lag.p50_ms, lag.p99_ms, lag.longest_ms), (200, 101, 199, 200));
        assert_eq!(Lag::of(Vec::new()).longest_ms, 0);
    }
}
