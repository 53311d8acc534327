//! How long a request took of late: what tells how long a queue is in time.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// What came before counts for this much less with each batch.
const FADING: f64 = 0.75;

/// The time and the number of the requests of the last batches, the older the less. Large batches take less for each request;
/// so a queue that grows is found shorter as soon as its first batch has shown it.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    sums: Mutex<Sums>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    seconds: f64,
    requests: f64,
}

impl Pace {
    /// A batch of so many requests took so long.
    pub(crate) fn took(&self, time: Duration, requests: usize) {
        let count = u32::try_from(requests).unwrap_or(u32::MAX);
        let mut sums = self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        sums.seconds = sums.seconds * FADING + time.as_secs_f64();
        sums.requests = sums.requests * FADING + f64::from(count);
    }

    /// How long so many requests take, where so many batches run at a time. Nothing, as long as nothing is known.
    pub(crate) fn time_of(&self, requests: usize, batches: usize) -> Duration {
        let sums = *self.sums.lock().unwrap_or_else(PoisonError::into_inner);
        let count = f64::from(u32::try_from(requests).unwrap_or(u32::MAX));
        let seconds =
            sums.seconds * count / sums.requests / f64::from(u32::try_from(batches).unwrap_or(u32::MAX));
        // No request yet, or a time beyond all measure.
        Duration::try_from_secs_f64(seconds).unwrap_or(if sums.requests > 0.0 {
            Duration::MAX
        } else {
            Duration::ZERO
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_before_the_first_batch_and_the_first_one_counts_in_full() {
        let pace = Pace::default();
        assert_eq!(pace.time_of(1_000, 1), Duration::ZERO);
        pace.took(Duration::from_millis(80), 8);
        assert_eq!(pace.time_of(1, 1), Duration::from_millis(10));
        assert_eq!(pace.time_of(6, 4), Duration::from_millis(15));
    }

    #[test]
    fn the_last_batches_count_for_more_and_large_ones_too() {
        let pace = Pace::default();
        pace.took(Duration::from_millis(100), 1);
        pace.took(Duration::from_millis(100), 99);
        assert!(pace.time_of(1, 1) < Duration::from_millis(2));
        (0..100).for_each(|_| pace.took(Duration::from_millis(10), 1));
        assert_eq!(pace.time_of(1, 1).as_millis(), 10);
        pace.took(Duration::MAX, 1);
        assert!(pace.time_of(usize::MAX, 1) > Duration::from_secs(1));
    }
}
