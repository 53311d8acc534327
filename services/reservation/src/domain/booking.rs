//! A booking and its state. The state carries what only that state has.

use time::{Duration, OffsetDateTime};

use super::{
    ids::{Attempt, BookingId, PaymentId, RefundId},
    line::{Item, Line},
};

/// A customer's order. Changed by [`Booking::apply`] alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// Its id.
    pub id: BookingId,
    /// The customer; empty on a tombstone.
    pub customer_id: String,
    /// What is booked; none on a tombstone.
    pub lines: Vec<Line>,
    /// The hold time that was asked for at creation, in ms.
    pub asked_ttl_ms: Option<i64>,
    /// The attempt whose hold it has or, while INITIATED, would place next.
    pub attempt: Attempt,
    /// Where it is in its life.
    pub state: State,
    /// How many steps its history has.
    pub history_length: i32,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When it last changed.
    pub updated_at: OffsetDateTime,
}

/// What a booking has once its units were held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// When the units were held.
    pub held_at: OffsetDateTime,
    /// For how long at first.
    pub ttl: Duration,
    /// When it runs out; at that instant it has.
    pub deadline: OffsetDateTime,
    /// Whether the payment window was given.
    pub window_given: bool,
    /// The currency of its prices (ISO 4217).
    pub currency: String,
    /// The sum of quantity times unit price, in minor units.
    pub total_minor: i64,
}

impl Hold {
    /// When it would have run out without extension or payment window.
    #[must_use]
    pub fn first_deadline(&self) -> OffsetDateTime {
        self.held_at + self.ttl
    }
}

/// Where a booking is in its life, with what only that place has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// A draft, until its own limit.
    Initiated {
        /// When the draft runs out.
        deadline: OffsetDateTime,
    },
    /// Units held.
    Held(Hold),
    /// A payment is under way.
    PaymentPending(Hold),
    /// Paid.
    Confirmed {
        /// The hold that it paid for.
        hold: Hold,
        /// What paid for it.
        payment_id: PaymentId,
    },
    /// Paid back.
    Refunded {
        /// The hold that it had paid for.
        hold: Hold,
        /// What had paid for it.
        payment_id: PaymentId,
        /// What paid it back.
        refund_id: RefundId,
    },
    /// Cancelled before it was paid.
    Cancelled {
        /// The hold that it had, if it had one.
        hold: Option<Hold>,
    },
    /// Ran out before it was paid.
    Expired {
        /// The hold that it had, if it had one.
        hold: Option<Hold>,
        /// When that was found.
        expired_at: OffsetDateTime,
    },
}

/// The name of a state, as in SQL, errors and history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateName {
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

impl StateName {
    /// Every state, in the order of a booking's life.
    pub const ALL: [Self; 7] = [
        Self::Initiated,
        Self::Held,
        Self::PaymentPending,
        Self::Confirmed,
        Self::Refunded,
        Self::Cancelled,
        Self::Expired,
    ];

    /// As it is written in SQL and in errors.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Initiated => "INITIATED",
            Self::Held => "HELD",
            Self::PaymentPending => "PAYMENT_PENDING",
            Self::Confirmed => "CONFIRMED",
            Self::Refunded => "REFUNDED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

impl State {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> StateName {
        match self {
            Self::Initiated { .. } => StateName::Initiated,
            Self::Held(_) => StateName::Held,
            Self::PaymentPending(_) => StateName::PaymentPending,
            Self::Confirmed { .. } => StateName::Confirmed,
            Self::Refunded { .. } => StateName::Refunded,
            Self::Cancelled { .. } => StateName::Cancelled,
            Self::Expired { .. } => StateName::Expired,
        }
    }

    /// The hold that it has or had.
    #[must_use]
    pub const fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Initiated { .. } => None,
            Self::Held(hold)
            | Self::PaymentPending(hold)
            | Self::Confirmed { hold, .. }
            | Self::Refunded { hold, .. } => Some(hold),
            Self::Cancelled { hold } | Self::Expired { hold, .. } => hold.as_ref(),
        }
    }

    /// When it runs out, while it can.
    #[must_use]
    pub const fn open_until(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Initiated { deadline } => Some(*deadline),
            Self::Held(hold) | Self::PaymentPending(hold) => Some(hold.deadline),
            Self::Confirmed { .. }
            | Self::Refunded { .. }
            | Self::Cancelled { .. }
            | Self::Expired { .. } => None,
        }
    }
}

impl Booking {
    /// The deadline that it has or had.
    #[must_use]
    pub fn deadline(&self) -> Option<OffsetDateTime> {
        self.state.open_until().or_else(|| self.state.hold().map(|hold| hold.deadline))
    }

    /// The mark of a booking whose hold ran out before the booking was recorded.
    #[must_use]
    pub const fn is_tombstone(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether a request for a new booking with this content is a repeat of the one that made this booking.
    #[must_use]
    pub fn was_asked_as(&self, customer_id: &str, items: &[Item], asked_ttl_ms: Option<i64>) -> bool {
        self.customer_id == customer_id
            && self.asked_ttl_ms == asked_ttl_ms
            && self.lines.iter().map(|line| &line.item).eq(items)
    }
}
