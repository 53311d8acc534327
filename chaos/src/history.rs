//! What clients saw: every call with its times and what came of it. Compact: a long run has millions of calls.

use proto::reservation::BookingState;
use serde::Serialize;
use uuid::Uuid;

use crate::time::Time;

/// Where a booking is in its life.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum State {
    /// A draft.
    Initiated,
    /// Units held.
    Held,
    /// A payment is under way.
    PaymentPending,
    /// Paid.
    Confirmed,
    /// Paid back.
    Refunded,
    /// Cancelled before it was paid.
    Cancelled,
    /// Ran out before it was paid.
    Expired,
}

impl State {
    /// From a message; none when it says nothing.
    #[must_use]
    pub const fn from_proto(state: BookingState) -> Option<Self> {
        Some(match state {
            BookingState::Unspecified => return None,
            BookingState::Initiated => Self::Initiated,
            BookingState::Held => Self::Held,
            BookingState::PaymentPending => Self::PaymentPending,
            BookingState::Confirmed => Self::Confirmed,
            BookingState::Refunded => Self::Refunded,
            BookingState::Cancelled => Self::Cancelled,
            BookingState::Expired => Self::Expired,
        })
    }

    /// From its name in errors.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        BookingState::from_str_name(&format!("BOOKING_STATE_{name}")).and_then(Self::from_proto)
    }
}

/// One thing booked, by its place in [`Goods`](crate::goods::Goods).
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Item {
    /// Units of a product.
    Units {
        /// Which.
        product: usize,
        /// How many.
        quantity: i64,
    },
    /// A seat.
    Seat(usize),
}

/// What was called.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// CreateBooking.
    Create {
        /// With its hold.
        hold: bool,
    },
    /// HoldBooking.
    Hold,
    /// ExtendHold.
    Extend {
        /// How much later than its first deadline.
        by_ms: i64,
    },
    /// StartPayment.
    Start,
    /// CompletePayment.
    Complete(Payment),
    /// PayBooking.
    Pay(Payment),
    /// CancelBooking.
    Cancel,
    /// RefundBooking, with the refund's id.
    Refund(Uuid),
    /// GetBooking.
    Get,
}

/// A payment as reported.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Payment {
    /// Its id.
    pub id: Uuid,
    /// Whether it took money.
    pub success: bool,
}

impl What {
    /// The name of the RPC.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create { hold: true } => "CreateBooking (hold)",
            Self::Create { hold: false } => "CreateBooking (draft)",
            Self::Hold => "HoldBooking",
            Self::Extend { .. } => "ExtendHold",
            Self::Start => "StartPayment",
            Self::Complete(_) => "CompletePayment",
            Self::Pay(_) => "PayBooking",
            Self::Cancel => "CancelBooking",
            Self::Refund(_) => "RefundBooking",
            Self::Get => "GetBooking",
        }
    }

    /// The payment that it reports.
    #[must_use]
    pub const fn payment(&self) -> Option<Payment> {
        match self {
            Self::Complete(payment) | Self::Pay(payment) => Some(*payment),
            _ => None,
        }
    }
}

/// The booking as an answer showed it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Seen {
    /// Where it was in its life.
    pub state: State,
    /// When it had last changed.
    pub updated: Time,
    /// When it was to run out.
    pub deadline: Option<Time>,
}

/// Why a call was refused, of the reasons that a client may hear.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Reason {
    /// Somebody else had the units.
    InsufficientStock,
    /// Somebody else had the seat.
    SeatTaken,
    /// The time was up.
    HoldExpired,
    /// It was cancelled before.
    BookingCancelled,
    /// Another payment had paid.
    AlreadyPaid,
    /// The state does not allow it.
    IllegalTransition,
    /// The hold may not last so long.
    HoldLifetimeExceeded,
    /// There is no such booking.
    BookingNotFound,
}

impl Reason {
    /// From `google.rpc.ErrorInfo`.
    #[must_use]
    pub fn parse(reason: &str) -> Option<Self> {
        Some(match reason {
            "INSUFFICIENT_STOCK" => Self::InsufficientStock,
            "SEAT_TAKEN" => Self::SeatTaken,
            "HOLD_EXPIRED" => Self::HoldExpired,
            "BOOKING_CANCELLED" => Self::BookingCancelled,
            "ALREADY_PAID" => Self::AlreadyPaid,
            "ILLEGAL_TRANSITION" => Self::IllegalTransition,
            "HOLD_LIFETIME_EXCEEDED" => Self::HoldLifetimeExceeded,
            "BOOKING_NOT_FOUND" => Self::BookingNotFound,
            _ => return None,
        })
    }
}

/// What came of a call.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A success.
    Booking(Seen),
    /// A refusal; of a transition: from this state.
    Refused(Reason, Option<State>),
    /// Something that no client may hear.
    Wrong(String),
    /// None came before the client gave up.
    Unknown,
}

/// One call, blindly repeated until it was answered.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Call {
    /// What was called.
    pub what: What,
    /// When the first attempt began.
    pub first: Time,
    /// When the last attempt began: the one that was answered.
    pub last: Time,
    /// When the answer came, or the client gave up.
    pub replied: Time,
    /// How many attempts it took. What became of all but the last is unknown, and may come about much later.
    pub attempts: u32,
    /// What came of it.
    pub answer: Answer,
}

impl Call {
    /// The booking, if it was answered with it.
    #[must_use]
    pub const fn seen(&self) -> Option<Seen> {
        match self.answer {
            Answer::Booking(seen) => Some(seen),
            _ => None,
        }
    }

    /// The latest time at which it can have had its effect; never when an attempt may still be on its way.
    #[must_use]
    pub fn effective_until(&self) -> Time {
        if self.attempts == 1 && self.answer != Answer::Unknown { self.replied } else { Time::NEVER }
    }

    /// Whether it can have done anything: a refusal of the only attempt did nothing.
    #[must_use]
    pub const fn may_have_acted(&self) -> bool {
        self.attempts > 1 || !matches!(self.answer, Answer::Refused(..))
    }
}

/// Everything that a client saw of one booking.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Life {
    /// The booking.
    pub id: Uuid,
    /// What is booked.
    pub items: Vec<Item>,
    /// The calls, in the order of their beginnings.
    pub calls: Vec<Call>,
}
