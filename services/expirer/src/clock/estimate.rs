//! Another machine's clock, estimated from questions about it. Pure.
//!
//! A reading says: at some moment between the question and the answer, the clock showed this. Taken for the middle, it is
//! off by half the round trip at most; and it gets worse with age, as two clocks never run alike.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// How fast two clocks part at worst: 200 µs per second, so that 1 s of age weighs as 0.4 ms of round trip.
const DRIFT_MICROS_PER_SECOND: u32 = 200;

/// One answer to the question what time it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// When it was asked.
    pub(crate) asked: Instant,
    /// When the answer came.
    pub(crate) answered: Instant,
    /// What the clock showed in between.
    pub(crate) server_time: OffsetDateTime,
}

impl Reading {
    fn middle(self) -> Instant {
        self.asked + self.answered.duration_since(self.asked) / 2
    }

    /// The clock at `now`, which may lie before the reading.
    fn time_at(self, now: Instant) -> OffsetDateTime {
        let middle = self.middle();
        self.server_time + now.saturating_duration_since(middle) - middle.saturating_duration_since(now)
    }

    /// How far off it may be at `now`.
    fn uncertainty(self, now: Instant) -> Duration {
        let round_trip = self.answered.duration_since(self.asked);
        let age = now.saturating_duration_since(self.middle());
        round_trip / 2 + age * DRIFT_MICROS_PER_SECOND / 1_000_000
    }
}

/// The best that is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Estimate {
    best: Reading,
}

impl Estimate {
    /// What is known after one more reading: it counts if it is more certain by now, or if both cannot be true, as
    /// happens when somebody sets the clock.
    pub(crate) fn next(last: Option<Self>, reading: Reading) -> Self {
        let Some(Self { best }) = last else { return Self { best: reading } };
        let now = reading.answered;
        let apart = (best.time_at(reading.middle()) - reading.server_time).unsigned_abs();
        let contradiction = apart > best.uncertainty(now) + reading.uncertainty(now);
        let better = reading.uncertainty(now) <= best.uncertainty(now);
        Self { best: if contradiction || better { reading } else { best } }
    }

    /// How long it is from `now` to `deadline`; nothing if it has passed.
    pub(crate) fn left(&self, deadline: OffsetDateTime, now: Instant) -> Duration {
        (deadline - self.best.time_at(now)).try_into().unwrap_or(Duration::ZERO)
    }

    /// How long it was from `deadline` to `now`; nothing if it is still to come.
    pub(crate) fn since(&self, deadline: OffsetDateTime, now: Instant) -> Duration {
        (self.best.time_at(now) - deadline).try_into().unwrap_or(Duration::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const EPOCH: OffsetDateTime = datetime!(2026-11-22 10:00:00 UTC);

    /// A clock that shows [`EPOCH`] at `start`, asked `at` µs later, with these µs there and back.
    fn reading(start: Instant, at: u64, there: u64, back: u64) -> Reading {
        let asked = start + Duration::from_micros(at);
        let read = asked + Duration::from_micros(there);
        let answered = read + Duration::from_micros(back);
        Reading { asked, answered, server_time: EPOCH + read.duration_since(start) }
    }

    fn error(estimate: &Estimate, start: Instant, now: Instant) -> Duration {
        (estimate.best.time_at(now) - (EPOCH + now.duration_since(start))).unsigned_abs()
    }

    #[test]
    fn a_quick_reading_beats_a_slow_one_and_stays_the_best_for_a_while() {
        let start = Instant::now();
        let slow = Estimate::next(None, reading(start, 0, 9_000, 1_000));
        let quick = Estimate::next(Some(slow), reading(start, 1_000_000, 200, 200));
        let kept = Estimate::next(Some(quick), reading(start, 2_000_000, 9_000, 1_000));
        let now = start + Duration::from_secs(3);
        assert_eq!(error(&slow, start, now), Duration::from_millis(4));
        assert_eq!(error(&kept, start, now), Duration::ZERO);
    }

    #[test]
    fn an_old_reading_gives_way_to_a_newer_one_that_is_slower() {
        let start = Instant::now();
        let quick = Estimate::next(None, reading(start, 0, 100, 100));
        let later = Estimate::next(Some(quick), reading(start, 60_000_000, 5_000, 5_000));
        assert_eq!(later.best.asked, start + Duration::from_mins(1));
    }

    #[test]
    fn a_clock_that_was_set_is_believed_at_once() {
        let start = Instant::now();
        let before = Estimate::next(None, reading(start, 0, 100, 100));
        let mut set = reading(start, 1_000_000, 5_000, 5_000);
        set.server_time -= Duration::from_secs(3);
        let after = Estimate::next(Some(before), set);
        assert_eq!(after.best.server_time, set.server_time);
    }

    #[test]
    fn what_has_passed_has_nothing_left() {
        let start = Instant::now();
        let estimate = Estimate::next(None, reading(start, 0, 0, 0));
        let now = start + Duration::from_secs(2);
        assert_eq!(estimate.left(EPOCH + Duration::from_secs(5), now), Duration::from_secs(3));
        assert_eq!(estimate.left(EPOCH, now), Duration::ZERO);
        assert_eq!(estimate.since(EPOCH, now), Duration::from_secs(2));
        assert_eq!(estimate.since(EPOCH + Duration::from_secs(5), now), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn the_error_is_never_more_than_half_the_best_round_trip_and_the_drift(
            trips in prop::collection::vec((0..20_000_u64, 0..20_000_u64), 1..20),
        ) {
            let start = Instant::now();
            let mut estimate = None;
            let mut bound = Duration::MAX;
            for (second, (there, back)) in (0..).zip(trips) {
                let reading = reading(start, second * 1_000_000, there, back);
                estimate = Some(Estimate::next(estimate, reading));
                let drift = Duration::from_micros(DRIFT_MICROS_PER_SECOND.into()) + Duration::from_micros(20);
                bound = bound.saturating_add(drift).min(Duration::from_micros(there + back) / 2);
            }
            let estimate = estimate.unwrap();
            prop_assert!(error(&estimate, start, start + Duration::from_secs(30)) <= bound);
        }
    }
}
