//! A row of `bookings` as it is read, and the booking that it says.

use postgres::StoredTime;
use sqlx::types::Json;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use super::{Inconsistent, NO_TIME, line::Stored};
use crate::domain::{
    booking::{Booking, Hold, State, StateName},
    ids::Attempt,
};

/// A booking as it was at an instant of the database's clock.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The booking.
    pub booking: Booking,
    /// The instant; under a lock, read after the lock was had.
    pub now: OffsetDateTime,
}

/// The columns of `bookings`, with the clock.
#[derive(Debug)]
pub(super) struct Row {
    pub booking_id: Uuid,
    pub customer_id: String,
    pub state: String,
    pub attempt: i32,
    pub lines: Json<Stored>,
    pub currency: Option<String>,
    pub total_minor: Option<i64>,
    pub asked_ttl_ms: Option<i64>,
    pub held_at: Option<StoredTime>,
    pub hold_ttl_ms: Option<i64>,
    pub expires_at: Option<StoredTime>,
    pub draft_expires_at: Option<StoredTime>,
    pub window_given: bool,
    pub payment_id: Option<Uuid>,
    pub refund_id: Option<Uuid>,
    pub expired_at: Option<StoredTime>,
    pub history_length: i32,
    pub created_at: StoredTime,
    pub updated_at: StoredTime,
    pub now: OffsetDateTime,
}

impl TryFrom<Row> for Seen {
    type Error = Inconsistent;

    fn try_from(row: Row) -> Result<Self, Inconsistent> {
        let booking_id = row.booking_id;
        let wrong = |what| Inconsistent { booking_id, what };
        let [created_at, updated_at] =
            [row.created_at, row.updated_at].map(|time| time.get().ok_or(wrong(NO_TIME)));
        let state = row.state()?;
        let booking = Booking {
            id: booking_id.into(),
            customer_id: row.customer_id,
            lines: row
                .lines
                .0
                .into_lines()
                .ok_or(wrong("a line is neither units of a product nor a seat"))?,
            asked_ttl_ms: row.asked_ttl_ms,
            attempt: Attempt::try_from(row.attempt).map_err(|_| wrong("attempt below 1"))?,
            state,
            history_length: row.history_length,
            created_at: created_at?,
            updated_at: updated_at?,
        };
        Ok(Self { booking, now: row.now })
    }
}

impl Row {
    /// The state with its data, as its columns say.
    fn state(&self) -> Result<State, Inconsistent> {
        let wrong = |what| Inconsistent { booking_id: self.booking_id, what };
        let times = [self.held_at, self.expires_at, self.draft_expires_at, self.expired_at];
        if times.into_iter().flatten().any(|time| time.get().is_none()) {
            return Err(wrong(NO_TIME));
        }
        let name = StateName::parse(&self.state).ok_or(wrong("unknown state"))?;
        let hold = || self.hold().ok_or(wrong("a hold without its columns"));
        let payment_id = || self.payment_id.map(Into::into).ok_or(wrong("paid without a payment"));
        Ok(match name {
            StateName::Initiated => State::Initiated {
                deadline: self
                    .draft_expires_at
                    .and_then(StoredTime::get)
                    .ok_or(wrong("a draft without its limit"))?,
            },
            StateName::Held => State::Held(hold()?),
            StateName::PaymentPending => State::PaymentPending(hold()?),
            StateName::Confirmed => State::Confirmed { hold: hold()?, payment_id: payment_id()? },
            StateName::Refunded => State::Refunded {
                hold: hold()?,
                payment_id: payment_id()?,
                refund_id: self.refund_id.map(Into::into).ok_or(wrong("refunded without a refund"))?,
            },
            StateName::Cancelled => State::Cancelled { hold: self.hold() },
            StateName::Expired => State::Expired {
                hold: self.hold(),
                expired_at: self
                    .expired_at
                    .and_then(StoredTime::get)
                    .ok_or(wrong("expired without a time"))?,
            },
        })
    }

    fn hold(&self) -> Option<Hold> {
        Some(Hold {
            held_at: self.held_at?.get()?,
            ttl: Duration::milliseconds(self.hold_ttl_ms?),
            deadline: self.expires_at?.get()?,
            window_given: self.window_given,
            currency: self.currency.clone()?,
            total_minor: self.total_minor?,
        })
    }
}
