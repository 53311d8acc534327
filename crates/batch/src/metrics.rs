//! How full batches are, how long requests wait for theirs and batches take, how many wait, and who is refused.

use std::time::Duration;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

/// Upper bounds of the buckets of times, in seconds.
const SECONDS: [f64; 11] = [0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];

/// The instruments of one batcher.
#[derive(Debug)]
pub(crate) struct Metrics {
    size: Histogram<u64>,
    wait: Histogram<f64>,
    duration: Histogram<f64>,
    refused: Counter<u64>,
    labels: [KeyValue; 1],
}

impl Metrics {
    /// The instruments, labelled with the batcher's name.
    pub(crate) fn new(name: &'static str) -> Self {
        let meter = global::meter("holdfast");
        let sizes = (0..=12).map(|power| f64::from(1 << power)).collect();
        let times = |name, description| {
            let histogram = meter.f64_histogram(name).with_description(description);
            histogram.with_boundaries(SECONDS.to_vec()).build()
        };
        let metrics = Self {
            size: meter
                .u64_histogram("holdfast_batch_size")
                .with_description("Requests in a batch")
                .with_boundaries(sizes)
                .build(),
            wait: times(
                "holdfast_batch_wait_seconds",
                "How long the oldest request of a batch waited for it to start",
            ),
            duration: times("holdfast_batch_duration_seconds", "How long a batch took"),
            refused: meter
                .u64_counter("holdfast_batch_refused")
                .with_description(
                    "Requests that were refused, because too many wait or their turn would come too late",
                )
                .build(),
            labels: [KeyValue::new("batch", name)],
        };
        metrics.refused.add(0, &metrics.labels);
        metrics
    }

    /// Shows how many requests wait, of how many that may: `depth` tells when the metrics are read, as long as there is a queue.
    pub(crate) fn watch(&self, depth: impl Fn() -> Option<usize> + Send + Sync + 'static, limit: usize) {
        let meter = global::meter("holdfast");
        let labels = self.labels.clone();
        meter
            .u64_observable_gauge("holdfast_batch_queue_depth")
            .with_description("Requests that wait for a batch")
            .with_callback(move |told| {
                if let Some(depth) = depth() {
                    told.observe(depth as u64, &labels);
                }
            })
            .build();
        let labels = self.labels.clone();
        meter
            .u64_observable_gauge("holdfast_batch_queue_limit")
            .with_description("Requests that may wait for a batch: one more is refused")
            .with_callback(move |told| told.observe(limit as u64, &labels))
            .build();
    }

    /// One batch starts.
    pub(crate) fn started(&self, size: usize, oldest_wait: Duration) {
        self.size.record(size as u64, &self.labels);
        self.wait.record(oldest_wait.as_secs_f64(), &self.labels);
    }

    /// One batch is done.
    pub(crate) fn took(&self, time: Duration) {
        self.duration.record(time.as_secs_f64(), &self.labels);
    }

    /// So many requests were refused.
    pub(crate) fn refused(&self, requests: usize) {
        self.refused.add(requests as u64, &self.labels);
    }
}
