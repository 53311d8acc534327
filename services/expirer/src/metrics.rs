//! What the expirer counts and times.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram, UpDownCounter},
};
use proto::catalog::SettleOutcome;

use crate::verdict::{Decision, Path};

/// Upper bounds of buckets for holds that were not on time, in seconds, beyond those of durations.
const LATE_SECONDS: [f64; 3] = [30.0, 60.0, 300.0];

/// The instruments.
#[derive(Debug)]
pub(crate) struct Metrics {
    lag: Histogram<f64>,
    verdicts: Counter<u64>,
    parked: Counter<u64>,
    in_hand: UpDownCounter<i64>,
    poison: Counter<u64>,
    found: Counter<u64>,
    swept: Gauge<f64>,
    drafts: Counter<u64>,
}

impl Metrics {
    /// Makes them; after telemetry was set up.
    pub(crate) fn new() -> Self {
        let counter = telemetry::counter;
        let metrics = Self {
            lag: telemetry::histogram(
                "holdfast_expiry_lag_seconds",
                "From a hold's deadline to its release, by the reservation database's clock",
                telemetry::SECONDS.into_iter().chain(LATE_SECONDS).collect(),
            ),
            verdicts: counter(
                "holdfast_verdicts",
                "Verdicts on holds by what they say and what the catalog made of them",
            ),
            parked: counter("holdfast_timers_parked", "Timers that were parked in a lane again"),
            in_hand: telemetry::meter()
                .i64_up_down_counter("holdfast_timers_in_hand")
                .with_description("Messages that were taken and are not acknowledged")
                .build(),
            poison: counter(
                "holdfast_poison_messages",
                "Messages that nobody can handle, put into holds.parked",
            ),
            found: counter("holdfast_sweep_found", "Overdue holds that the sweep found"),
            swept: telemetry::meter()
                .f64_gauge("holdfast_sweep_completed_timestamp_seconds")
                .with_description("When the sweep last went through everything (Unix time)")
                .build(),
            drafts: counter("holdfast_drafts_expired", "Abandoned drafts that the sweep expired"),
        };
        for counter in [&metrics.parked, &metrics.poison, &metrics.found, &metrics.drafts] {
            counter.add(0, &[]);
        }
        metrics.in_hand.add(0, &[]);
        for (path, verdict, outcome) in known_verdicts() {
            metrics.verdicts.add(0, &verdict_labels(path, verdict, outcome));
        }
        metrics
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
        self.verdicts.add(1, &verdict_labels(path, decision.as_str(), outcome));
    }

    /// So many timers were parked again.
    pub(crate) fn parked(&self, timers: usize) {
        self.parked.add(timers as u64, &[]);
    }

    /// A message is in hand, until what this returns is dropped.
    pub(crate) fn take(&self) -> InHand {
        self.in_hand.add(1, &[]);
        InHand(self.in_hand.clone())
    }

    /// A message was put aside.
    pub(crate) fn poison(&self) {
        self.poison.add(1, &[]);
    }

    /// The sweep found so many overdue holds.
    pub(crate) fn found(&self, holds: usize) {
        self.found.add(holds as u64, &[]);
    }

    /// The sweep went through everything.
    pub(crate) fn swept(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.swept.record(now.as_secs_f64(), &[]);
    }

    /// The sweep expired so many drafts.
    pub(crate) fn drafts(&self, drafts: u64) {
        self.drafts.add(drafts, &[]);
    }
}

fn verdict_labels(path: Path, verdict: &'static str, outcome: &'static str) -> [KeyValue; 3] {
    [
        KeyValue::new("path", path.as_str()),
        KeyValue::new("verdict", verdict),
        KeyValue::new("outcome", outcome),
    ]
}

/// What can come of a verdict: of one that is not due the catalog hears from the sweep alone.
fn known_verdicts() -> impl Iterator<Item = (Path, &'static str, &'static str)> {
    let told = ["settled", "unchanged", "unknown"];
    [Path::Timer, Path::Sweep].into_iter().flat_map(move |path| {
        let not_due: &[&str] = if path == Path::Timer { &["none"] } else { &told };
        let not_due: Vec<_> = not_due.iter().map(|outcome| (path, "not_due", *outcome)).collect();
        let due = ["release", "commit"]
            .into_iter()
            .flat_map(move |verdict| told.into_iter().map(move |outcome| (path, verdict, outcome)));
        due.chain(not_due)
    })
}

/// A message in hand.
#[derive(Debug)]
pub(crate) struct InHand(UpDownCounter<i64>);

impl Drop for InHand {
    fn drop(&mut self) {
        self.0.add(-1, &[]);
    }
}

/// How many messages wait in each queue, as far as is known: nothing while RabbitMQ is away.
#[derive(Clone, Debug, Default)]
pub(crate) struct QueueDepths(Arc<Mutex<Vec<(KeyValue, u64)>>>);

impl QueueDepths {
    /// Shows them, when the metrics are read.
    pub(crate) fn show(&self) {
        let shown = self.clone();
        telemetry::meter()
            .u64_observable_gauge("holdfast_broker_queue_messages")
            .with_description("Messages that wait in a queue, without those in hand; looked at every 10 s")
            .with_callback(move |told| {
                for (queue, messages) in shown.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                    told.observe(*messages, std::slice::from_ref(queue));
                }
            })
            .build();
    }

    /// They are these now.
    pub(crate) fn set(&self, depths: Vec<(String, u32)>) {
        let depths =
            depths.into_iter().map(|(queue, messages)| (KeyValue::new("queue", queue), messages.into()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = depths.collect();
    }
}
