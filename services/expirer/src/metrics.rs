//! What the expirer counts and times.

use std::time::Duration;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use proto::catalog::SettleOutcome;

use crate::verdict::{Decision, Path};

/// The instruments.
#[derive(Debug)]
pub(crate) struct Metrics {
    lag: Histogram<f64>,
    verdicts: Counter<u64>,
    parked: Counter<u64>,
    poison: Counter<u64>,
    found: Counter<u64>,
    drafts: Counter<u64>,
}

impl Metrics {
    /// Makes them; after telemetry was set up.
    pub(crate) fn new() -> Self {
        let meter = telemetry::meter();
        let counter = |name, description| meter.u64_counter(name).with_description(description).build();
        Self {
            lag: telemetry::duration_histogram(
                "holdfast_expiry_lag_seconds",
                "From a hold's deadline to its release, by the reservation database's clock",
            ),
            verdicts: counter(
                "holdfast_verdicts",
                "Verdicts on holds by what they say and what the catalog made of them",
            ),
            parked: counter("holdfast_timers_parked", "Timers that were parked in a lane again"),
            poison: counter(
                "holdfast_poison_messages",
                "Messages that nobody can handle, put into holds.parked",
            ),
            found: counter("holdfast_sweep_found", "Overdue holds that the sweep found"),
            drafts: counter("holdfast_drafts_expired", "Abandoned drafts that the sweep expired"),
        }
    }

    /// A hold ran out and was released so much later.
    pub(crate) fn released(&self, path: Path, lag: Duration) {
        self.lag.record(lag.as_secs_f64(), &[KeyValue::new("path", path.as_str())]);
    }

    /// A verdict came; what the catalog made of it, if it was told.
    pub(crate) fn verdict(&self, path: Path, decision: Decision, outcome: Option<SettleOutcome>) {
        let outcome = match outcome {
            Some(SettleOutcome::Settled) => "settled",
            Some(SettleOutcome::Unchanged) => "unchanged",
            Some(SettleOutcome::Unknown | SettleOutcome::Unspecified) => "unknown",
            None => "none",
        };
        let labels = [
            KeyValue::new("path", path.as_str()),
            KeyValue::new("verdict", decision.as_str()),
            KeyValue::new("outcome", outcome),
        ];
        self.verdicts.add(1, &labels);
    }

    /// So many timers were parked again.
    pub(crate) fn parked(&self, timers: usize) {
        self.parked.add(timers as u64, &[]);
    }

    /// A message was put aside.
    pub(crate) fn poison(&self) {
        self.poison.add(1, &[]);
    }

    /// The sweep found so many overdue holds.
    pub(crate) fn found(&self, holds: usize) {
        self.found.add(holds as u64, &[]);
    }

    /// The sweep expired so many drafts.
    pub(crate) fn drafts(&self, drafts: u64) {
        self.drafts.add(drafts, &[]);
    }
}
