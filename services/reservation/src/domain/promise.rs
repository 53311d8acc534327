//! What a change of a booking owes to others: written into the outbox in the transaction of the change.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    booking::{Booking, StateName},
    command::{Change, PaymentOutcome},
    ids::Attempt,
};

/// One thing owed for one booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// A timer that asks for a verdict at the deadline.
    Timer {
        /// The hold's attempt.
        attempt: Attempt,
        /// When it runs out.
        deadline: OffsetDateTime,
    },
    /// The verdict, carried to the catalog.
    Settle {
        /// The hold's attempt.
        attempt: Attempt,
        /// Which one.
        verdict: Settlement,
    },
    /// News for other services.
    Event {
        /// The routing key.
        subject: &'static str,
        /// booking.held: the deadline.
        deadline: Option<OffsetDateTime>,
        /// The payment or refund.
        reference: Option<Uuid>,
    },
}

/// A final verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// The units are sold.
    Commit,
    /// The units are on sale again.
    Release,
}

/// Whether the caller carries a RELEASE to the catalog itself, as the expirer does with the verdict that it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleasedBy {
    /// It does.
    Caller,
    /// It does not: the outbox has to.
    Outbox,
}

/// What `change` of `booking` (as it is after it) owes.
#[must_use]
pub fn promises(booking: &Booking, change: &Change, released_by: ReleasedBy) -> Vec<Promise> {
    let mut owed = Vec::new();
    let settle = |verdict| Promise::Settle { attempt: booking.attempt, verdict };
    for step in &change.steps {
        let had_hold = step.from != StateName::Initiated;
        let event = |subject| Promise::Event { subject, deadline: None, reference: step.reference };
        match (step.from, step.to) {
            (StateName::Initiated, StateName::Held) => {
                if let Some(deadline) = step.deadline {
                    owed.push(Promise::Timer { attempt: booking.attempt, deadline });
                }
                owed.push(Promise::Event {
                    subject: "booking.held",
                    deadline: step.deadline,
                    reference: None,
                });
            }
            (_, StateName::Confirmed) => {
                owed.extend([settle(Settlement::Commit), event("booking.confirmed")]);
            }
            (_, StateName::Refunded) => owed.extend([settle(Settlement::Release), event("booking.refunded")]),
            (_, StateName::Cancelled) => {
                owed.extend(had_hold.then(|| settle(Settlement::Release)));
                owed.push(event("booking.cancelled"));
            }
            (_, StateName::Expired) => {
                let carried = released_by == ReleasedBy::Caller;
                owed.extend((had_hold && !carried).then(|| settle(Settlement::Release)));
                owed.push(event("booking.expired"));
            }
            (_, StateName::Initiated | StateName::Held | StateName::PaymentPending) => {}
        }
    }
    if let Some((payment_id, PaymentOutcome::RefundDue)) = change.payment {
        owed.push(Promise::Event {
            subject: "payment.refund_due",
            deadline: None,
            reference: Some(payment_id.get()),
        });
    }
    owed.extend(change.stray.map(|attempt| Promise::Settle { attempt, verdict: Settlement::Release }));
    owed
}
