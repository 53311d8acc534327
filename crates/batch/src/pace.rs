//! How long batches took of late: what tells how long a queue is in time.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The weight of the last batch is one in so many.
const MEMORY: u64 = 4;

/// A moving average of the time that a batch takes; none yet: 0.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    micros: AtomicU64,
}

impl Pace {
    /// A batch took so long.
    pub(crate) fn took(&self, time: Duration) {
        let last = u64::try_from(time.as_micros()).unwrap_or(u64::MAX / MEMORY).min(u64::MAX / MEMORY);
        let before = self.micros.load(Ordering::Relaxed);
        let average = if before == 0 { last } else { before - before / MEMORY + last / MEMORY };
        // Two batches that end at once may count as one: it is an estimate.
        self.micros.store(average, Ordering::Relaxed);
    }

    /// How long so many batches take, of which so many run at a time.
    pub(crate) fn time_of(&self, batches: usize, at_a_time: usize) -> Duration {
        let micros = self.micros.load(Ordering::Relaxed).saturating_mul(batches as u64);
        Duration::from_micros(micros / at_a_time as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_known_before_the_first_batch_and_the_first_one_counts_in_full() {
        let pace = Pace::default();
        assert_eq!(pace.time_of(1_000, 1), Duration::ZERO);
        pace.took(Duration::from_millis(80));
        assert_eq!(pace.time_of(1, 1), Duration::from_millis(80));
        assert_eq!(pace.time_of(6, 4), Duration::from_millis(120));
    }

    #[test]
    fn the_average_follows_the_last_batches() {
        let pace = Pace::default();
        pace.took(Duration::from_millis(80));
        pace.took(Duration::from_millis(160));
        assert_eq!(pace.time_of(1, 1), Duration::from_millis(100));
        (0..100).for_each(|_| pace.took(Duration::from_millis(10)));
        assert_eq!(pace.time_of(1, 1).as_millis(), 10);
        pace.took(Duration::MAX);
        assert!(pace.time_of(usize::MAX, 1) > Duration::from_secs(1));
    }
}
