//! How full batches are, and how long requests wait for theirs.

use std::time::Duration;

use opentelemetry::{KeyValue, global, metrics::Histogram};

/// The instruments of one batcher.
pub(crate) struct Metrics {
    size: Histogram<u64>,
    wait: Histogram<f64>,
    labels: [KeyValue; 1],
}

impl Metrics {
    /// The instruments, labelled with the batcher's name.
    pub(crate) fn new(name: &'static str) -> Self {
        let meter = global::meter("holdfast");
        let sizes = (0..=12).map(|power| f64::from(1 << power)).collect();
        let waits = vec![0.000_1, 0.000_3, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
        Self {
            size: meter
                .u64_histogram("holdfast_batch_size")
                .with_description("Requests in a batch")
                .with_boundaries(sizes)
                .build(),
            wait: meter
                .f64_histogram("holdfast_batch_wait_seconds")
                .with_description("How long the oldest request of a batch waited for it to start")
                .with_boundaries(waits)
                .build(),
            labels: [KeyValue::new("batch", name)],
        }
    }

    /// One batch starts.
    pub(crate) fn record(&self, size: usize, oldest_wait: Duration) {
        self.size.record(size as u64, &self.labels);
        self.wait.record(oldest_wait.as_secs_f64(), &self.labels);
    }
}
