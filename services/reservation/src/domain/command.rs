//! What may be asked of a booking, and what can come of it. `transition.rs` says which of it does.

use time::{Duration, OffsetDateTime};

use super::{
    booking::StateName,
    ids::{Attempt, BookingId, PaymentId, RefundId},
};

/// The rules that the operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How much time StartPayment gives at least, once.
    pub payment_window: Duration,
    /// How long extensions may make a hold's life.
    pub max_hold: Duration,
}

/// What somebody wants of a booking.
#[derive(Clone, Debug)]
pub enum Command {
    /// INITIATED to HELD, with what the catalog placed; none when the booking was no draft when it was looked at.
    Hold(Option<Placed>),
    /// A later deadline: this much after the first one.
    Extend(Duration),
    /// HELD to PAYMENT_PENDING.
    StartPayment,
    /// How a payment that was started ended.
    CompletePayment(Payment),
    /// Both steps in one.
    Pay(Payment),
    /// Give the units back.
    Cancel,
    /// Pay back and give the units back.
    Refund(RefundId),
    /// What is to become of the hold of this attempt?
    Resolve(Attempt),
    /// A hold of this attempt was placed for a request that was then refused: release it, unless it is the booking's.
    Abandon(Attempt),
    /// Only let the clock have its say.
    Review,
}

/// A hold that the catalog placed for a draft.
#[derive(Clone, Debug)]
pub struct Placed {
    /// For which attempt.
    pub attempt: Attempt,
    /// For how long.
    pub ttl: Duration,
    /// The currency of the prices.
    pub currency: String,
    /// The price of one unit of each line, in minor units.
    pub unit_prices_minor: Vec<i64>,
}

/// A payment as reported.
#[derive(Clone, Copy, Debug)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// Whether it took money.
    pub success: bool,
}

/// What a payment or refund id was used for before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// For nothing.
    Unused,
    /// For this payment.
    Payment {
        /// Of this booking.
        booking_id: BookingId,
        /// With this end.
        outcome: PaymentOutcome,
    },
    /// For the refund of this booking.
    Refund {
        /// The booking.
        booking_id: BookingId,
    },
}

/// What a reported payment came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PaymentOutcome {
    /// It paid for the booking.
    Accepted,
    /// It took no money.
    Failed,
    /// It took money that must go back.
    RefundDue,
}

impl PaymentOutcome {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Accepted, Self::Failed, Self::RefundDue];

    /// As it is written in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Failed => "FAILED",
            Self::RefundDue => "REFUND_DUE",
        }
    }
}

/// One step of a booking's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state before.
    pub from: StateName,
    /// The state after.
    pub to: StateName,
    /// The deadline after.
    pub deadline: Option<OffsetDateTime>,
    /// The payment or refund of the step.
    pub reference: Option<uuid::Uuid>,
}

/// What applying a command did, beside the booking itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The steps that the booking took, in their order.
    pub steps: Vec<Step>,
    /// A payment to record.
    pub payment: Option<(PaymentId, PaymentOutcome)>,
    /// A hold that was placed but will never be this booking's: to be released.
    pub stray: Option<Attempt>,
    /// The attempt moved on: a late record of the one before loses.
    pub attempt_moved: bool,
}

/// What a command answers when it is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The booking is as asked for.
    Done,
    /// The verdict that was asked for.
    Verdict(Verdict),
}

/// What the catalog is to do with a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Put its units back on sale; with the deadline, if it is that which ended it.
    Release {
        /// The deadline that passed.
        expired: Option<OffsetDateTime>,
    },
    /// Its units are sold.
    Commit,
    /// Nothing before this instant.
    NotDue {
        /// The deadline.
        deadline: OffsetDateTime,
    },
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The state does not allow it.
    #[error("a booking that is {} cannot become {}", from.as_str(), to.as_str())]
    Illegal {
        /// The state it is in.
        from: StateName,
        /// The state that was asked for.
        to: StateName,
    },
    /// The money came after the deadline.
    #[error("its hold ran out; a payment that took money will be refunded")]
    HoldExpired,
    /// The money came after the cancellation.
    #[error("it was cancelled; a payment that took money will be refunded")]
    BookingCancelled,
    /// The money came after other money.
    #[error("another payment paid for it; this one will be refunded")]
    AlreadyPaid,
    /// The extension goes beyond the longest life of a hold.
    #[error("the hold may last until {latest} at the most")]
    LifetimeExceeded {
        /// The latest deadline that may be asked for.
        latest: OffsetDateTime,
    },
    /// The payment or refund id was used for something else.
    #[error("the id was used before for something else")]
    IdReused {
        /// What it was used for: another booking, or this one, with another end.
        used_for: BookingId,
        /// Whether it is a payment that failed there: it took no money.
        failed: bool,
    },
    /// The attempt at the hold was given up meanwhile; another one may be made.
    #[error("the attempt at the hold was given up meanwhile")]
    Superseded,
}
