//! What reservation counts: bookings by the states that they enter, and payments, by the batch, so that one booking costs next to
//! nothing; and events of the payment provider.

use std::sync::LazyLock;

use opentelemetry::{KeyValue, metrics::Counter};

use crate::{
    domain::{booking::StateName, command::PaymentOutcome},
    webhook,
};

struct Instruments {
    bookings: Counter<u64>,
    payments: Counter<u64>,
    webhook: Counter<u64>,
}

/// All labels are there from the start, with 0.
static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| {
    let instruments = Instruments {
        bookings: telemetry::counter(
            "holdfast_bookings",
            "Bookings that entered a state; one that pays in one call enters two",
        ),
        payments: telemetry::counter(
            "holdfast_payments",
            "Payments that were reported, by what they came to",
        ),
        webhook: telemetry::counter(
            "holdfast_webhook_events",
            "Events of the payment provider, by what came of them",
        ),
    };
    for state in StateName::ALL {
        instruments.bookings.add(0, &[KeyValue::new("state", state.as_str())]);
    }
    for outcome in PaymentOutcome::ALL {
        instruments.payments.add(0, &[KeyValue::new("outcome", outcome.as_str())]);
    }
    for outcome in webhook::outcomes() {
        instruments.webhook.add(0, &[KeyValue::new("outcome", outcome)]);
    }
    instruments
});

/// What a unit of work did, to be counted once it is committed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    bookings: [u64; StateName::ALL.len()],
    payments: [u64; PaymentOutcome::ALL.len()],
}

impl Done {
    /// So many bookings entered this state.
    pub(crate) fn entered(&mut self, state: StateName, bookings: u64) {
        self.bookings[state as usize] += bookings;
    }

    /// A payment came to this.
    pub(crate) fn paid(&mut self, outcome: PaymentOutcome) {
        self.payments[outcome as usize] += 1;
    }

    /// Counts it.
    pub(crate) fn count(self) {
        for (state, count) in StateName::ALL.into_iter().zip(self.bookings).filter(|(_, count)| *count > 0) {
            INSTRUMENTS.bookings.add(count, &[KeyValue::new("state", state.as_str())]);
        }
        for (outcome, count) in
            PaymentOutcome::ALL.into_iter().zip(self.payments).filter(|(_, count)| *count > 0)
        {
            INSTRUMENTS.payments.add(count, &[KeyValue::new("outcome", outcome.as_str())]);
        }
    }
}

/// An event of the payment provider came to this.
pub(crate) fn webhook(outcome: &'static str) {
    INSTRUMENTS.webhook.add(1, &[KeyValue::new("outcome", outcome)]);
}

/// Makes the instruments, so that they are there before there is anything to count.
pub(crate) fn show() {
    LazyLock::force(&INSTRUMENTS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_stands_under_its_own_name() {
        for (place, state) in StateName::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, place);
        }
        for (place, outcome) in PaymentOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, place);
        }
    }
}
