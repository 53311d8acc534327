//! What the relay counts, each by kind of promise.

use opentelemetry::{KeyValue, metrics::Counter};

use crate::store::outbox::Kind;

/// The instruments of one loop.
pub(super) struct Metrics {
    delivered: Counter<u64>,
    failures: Counter<u64>,
    parkings: Counter<u64>,
    label: [KeyValue; 1],
}

impl Metrics {
    pub(super) fn new(kind: Kind) -> Self {
        let counter = telemetry::counter;
        let metrics = Self {
            delivered: counter(
                "holdfast_outbox_delivered_bookings",
                "Promises that left the outbox, counted by booking",
            ),
            failures: counter(
                "holdfast_outbox_failures",
                "Attempts to deliver promises that failed: they stayed in the outbox",
            ),
            parkings: counter(
                "holdfast_outbox_parked_bookings",
                "Promises that were refused on their own and parked, counted by booking, again each time",
            ),
            label: [KeyValue::new("kind", kind.as_str())],
        };
        for counter in [&metrics.delivered, &metrics.failures, &metrics.parkings] {
            counter.add(0, &metrics.label);
        }
        metrics
    }

    /// Promises about so many bookings were kept.
    pub(super) fn delivered(&self, bookings: usize) {
        self.delivered.add(bookings as u64, &self.label);
    }

    /// A portion was not delivered.
    pub(super) fn failed(&self) {
        self.failures.add(1, &self.label);
    }

    /// A promise about so many bookings was put aside.
    pub(super) fn put_aside(&self, bookings: usize) {
        self.parkings.add(bookings as u64, &self.label);
    }
}
