//! What a phase of load came to.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;
use serde::Serialize;
use tonic::Status;

/// The slices of time in which answers are counted.
pub const SLICE: Duration = Duration::from_millis(100);

/// The longest latency that is told from longer ones, in microseconds.
const LONGEST_MICROS: u64 = 120_000_000;

/// Actions, and how long they took.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Actions that succeeded.
    pub done: u64,
    /// Actions that failed.
    pub failed: u64,
    /// Arrivals of an open loop that were not sent, as too many were under way.
    pub unsent: u64,
    /// From the beginning to the last answer.
    pub took: Duration,
    /// How the first failure was told.
    failure: Option<String>,
    /// In microseconds.
    latencies: Histogram<u64>,
    /// Successes in each [`SLICE`].
    slices: Vec<u64>,
}

/// Percentiles, in milliseconds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Of what.
    pub name: String,
    /// Half are no longer than this.
    pub p50_ms: f64,
    /// 90 of 100.
    pub p90_ms: f64,
    /// 99 of 100.
    pub p99_ms: f64,
    /// 999 of 1,000.
    pub p999_ms: f64,
    /// The longest.
    pub max_ms: f64,
    /// How many were measured.
    pub count: u64,
}

impl Default for Tally {
    fn default() -> Self {
        let latencies = Histogram::new_with_bounds(1, LONGEST_MICROS, 3);
        Self {
            done: 0,
            failed: 0,
            unsent: 0,
            took: Duration::ZERO,
            failure: None,
            latencies: latencies.expect("the bounds are in order"),
            slices: Vec::new(),
        }
    }
}

impl Tally {
    /// Counts an action that was to begin at `due`, in a phase that began at `start`.
    pub(super) fn note(&mut self, done: Result<(), Status>, due: Instant, start: Instant) {
        let now = Instant::now();
        match done {
            Ok(()) => {
                self.done += 1;
                self.record(now - due);
                let slice =
                    usize::try_from((now - start).as_millis() / SLICE.as_millis()).unwrap_or_default();
                if self.slices.len() <= slice {
                    self.slices.resize(slice + 1, 0);
                }
                self.slices[slice] += 1;
            }
            Err(status) => {
                self.failed += 1;
                self.failure.get_or_insert_with(|| format!("{:?}: {}", status.code(), status.message()));
            }
        }
    }

    /// Adds a duration to those that percentiles are taken of.
    pub fn record(&mut self, time: Duration) {
        self.latencies.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1));
    }

    /// Adds what another generator, or another round, counted.
    pub fn merge(&mut self, other: &Self) {
        self.done += other.done;
        self.failed += other.failed;
        self.unsent += other.unsent;
        self.took = self.took.max(other.took);
        self.failure = self.failure.take().or_else(|| other.failure.clone());
        self.latencies += &other.latencies;
        if self.slices.len() < other.slices.len() {
            self.slices.resize(other.slices.len(), 0);
        }
        for (slice, more) in self.slices.iter_mut().zip(&other.slices) {
            *slice += more;
        }
    }

    /// Successes each second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        per_second(self.done, self.took)
    }

    /// Successes each second, of those that were answered in this part of the phase.
    #[must_use]
    pub fn rate_between(&self, from: Duration, to: Duration) -> f64 {
        let index =
            |time: Duration| usize::try_from(time.as_millis() / SLICE.as_millis()).unwrap_or_default();
        let (from, to) = (index(from), index(to).max(index(from) + 1));
        let answered: u64 = self.slices.iter().take(to).skip(from).sum();
        let slices = u32::try_from(to - from).unwrap_or(u32::MAX);
        per_second(answered, SLICE.saturating_mul(slices))
    }

    /// The latency that this share of actions did not exceed, in milliseconds.
    #[must_use]
    pub fn at(&self, share: f64) -> f64 {
        millis(self.latencies.value_at_quantile(share))
    }

    /// The percentiles.
    #[must_use]
    pub fn latency(&self, name: &str) -> Latency {
        Latency {
            name: name.to_owned(),
            p50_ms: self.at(0.5),
            p90_ms: self.at(0.9),
            p99_ms: self.at(0.99),
            p999_ms: self.at(0.999),
            max_ms: millis(self.latencies.max()),
            count: self.latencies.len(),
        }
    }

    /// Itself, if every action succeeded.
    ///
    /// # Errors
    /// One did not, or there was none.
    pub fn sound(self) -> Result<Self> {
        let failure = self.failure.as_deref().unwrap_or_default();
        ensure!(self.failed == 0, "{} of {} calls failed: {failure}", self.failed, self.failed + self.done);
        ensure!(self.done > 0, "nothing was answered");
        Ok(self)
    }
}

#[expect(clippy::cast_precision_loss, reason = "microseconds below 2^52")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_percentiles_come_from_what_was_noted() {
        let start = Instant::now().checked_sub(Duration::from_millis(250)).expect("the machine is up longer");
        let mut tally = Tally::default();
        for _ in 0..10 {
            tally.note(Ok(()), start, start);
        }
        tally.took = Duration::from_secs(2);
        assert!((tally.rate() - 5.0).abs() < 1e-9);
        assert!(
            (tally.rate_between(Duration::from_millis(200), Duration::from_millis(300)) - 100.0).abs() < 1e-9
        );
        assert!(tally.at(0.5) >= 250.0);
        assert!(tally.sound().is_ok());
    }

    #[test]
    fn a_phase_with_a_failure_is_not_sound() {
        let now = Instant::now();
        let mut tally = Tally::default();
        tally.note(Ok(()), now, now);
        tally.note(Err(Status::aborted("no")), now, now);
        let error = tally.sound().expect_err("one failed").to_string();
        assert_eq!(error, "1 of 2 calls failed: Aborted: no");
        assert!(Tally::default().sound().is_err());
    }
}
