//! The ids and small quantities of a booking.

use std::fmt;

use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, ordered by time (UUIDv7).
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// The UUID itself.
            #[must_use]
            pub const fn get(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

uuid_id!(
    /// Names a booking.
    BookingId
);
uuid_id!(
    /// Names a payment. A successful payment that the caller did not name has its booking's id.
    PaymentId
);
uuid_id!(
    /// Names a refund. A refund that the caller did not name has its booking's id.
    RefundId
);

impl From<BookingId> for PaymentId {
    fn from(id: BookingId) -> Self {
        Self(id.get())
    }
}

impl From<BookingId> for RefundId {
    fn from(id: BookingId) -> Self {
        Self(id.get())
    }
}

/// The number of a booking's attempt at a hold, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt(i32);

impl Attempt {
    /// The attempt that a new booking makes.
    pub const FIRST: Self = Self(1);

    /// The number.
    #[must_use]
    pub const fn get(self) -> i32 {
        self.0
    }

    /// The attempt after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// An attempt below 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no attempt: they count from 1")]
pub struct NotAnAttempt(i32);

impl TryFrom<i32> for Attempt {
    type Error = NotAnAttempt;

    fn try_from(number: i32) -> Result<Self, NotAnAttempt> {
        if number >= 1 { Ok(Self(number)) } else { Err(NotAnAttempt(number)) }
    }
}
