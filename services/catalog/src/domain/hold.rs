//! Holds: which booking has taken which units.

use std::{fmt, str::FromStr};

use time::OffsetDateTime;

use super::{
    customer::{CountKey, Counted, CustomerId},
    ids::{BookingId, ProductId, SeatMapId},
};

/// Names a hold: a booking, and which of its attempts, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HoldKey {
    /// The booking.
    pub booking_id: BookingId,
    /// The attempt, from 1.
    pub attempt: i32,
}

/// A hold to be reviewed, by its place among those: the most overdue first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OverdueHold {
    /// Since when, in whole microseconds as in the database.
    pub review_at: OffsetDateTime,
    /// The hold.
    pub key: HoldKey,
}

impl OverdueHold {
    /// The place before all holds.
    #[must_use]
    pub fn start() -> Self {
        let key = HoldKey { booking_id: uuid::Uuid::nil().into(), attempt: 0 };
        Self { review_at: OffsetDateTime::UNIX_EPOCH, key }
    }
}

/// As it stands in a page token.
impl fmt::Display for OverdueHold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.review_at.unix_timestamp_nanos() / 1_000;
        write!(f, "{micros} {} {}", self.key.booking_id, self.key.attempt)
    }
}

/// The text names no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPlace;

impl FromStr for OverdueHold {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let mut parts = text.split(' ');
        let (Some(micros), Some(booking_id), Some(attempt), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NoPlace);
        };
        let micros: i64 = micros.parse().map_err(|_| NoPlace)?;
        let review_at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000);
        let booking_id = booking_id.parse().map_err(|_| NoPlace)?;
        let attempt = attempt.parse().map_err(|_| NoPlace)?;
        Ok(Self { review_at: review_at.map_err(|_| NoPlace)?, key: HoldKey { booking_id, attempt } })
    }
}

/// Names a seat.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatKey {
    /// Its map.
    pub seat_map_id: SeatMapId,
    /// Its label in the map.
    pub label: String,
}

/// What one line of a hold takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// So many units of a product, at least 1.
    Product {
        /// The product.
        product_id: ProductId,
        /// Units.
        quantity: i64,
    },
    /// One seat.
    Seat(SeatKey),
}

/// One line of a hold that was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it took.
    pub item: Item,
    /// The price of one unit as at the hold, in minor units of the hold's currency.
    pub price_minor: i64,
    /// Whether it counts for the hold's customer.
    pub counts: bool,
}

impl Line {
    /// What it counts for, if it counts, and how many.
    #[must_use]
    pub fn counted(&self) -> Option<(Counted, i64)> {
        let counted = match &self.item {
            Item::Product { product_id, quantity } => (Counted::Product(*product_id), *quantity),
            Item::Seat(seat) => (Counted::SeatMap(seat.seat_map_id), 1),
        };
        self.counts.then_some(counted)
    }
}

/// Where a hold is in its life. It only moves on: ACTIVE, COMMITTED, RELEASED.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldState {
    /// Its units are held.
    Active,
    /// Its units are sold.
    Committed,
    /// Its units are on sale again.
    Released,
}

impl HoldState {
    /// As it is written in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Committed => "COMMITTED",
            Self::Released => "RELEASED",
        }
    }

    /// Reads what [`as_str`](Self::as_str) wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Committed, Self::Released].into_iter().find(|state| state.as_str() == text)
    }
}

/// A hold. Its lines, prices and time are fixed when it is placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// Its name.
    pub key: HoldKey,
    /// Where it is in its life.
    pub state: HoldState,
    /// What it took, 1 .. 100 lines.
    pub lines: Vec<Line>,
    /// The currency of all its prices (ISO 4217).
    pub currency: String,
    /// How long it was to last, in ms.
    pub hold_ttl_ms: i64,
    /// Whose it is; none where its caller named nobody: nothing of it counts.
    pub customer_id: Option<CustomerId>,
    /// Whether it counts as one of its customer's open holds. Its lines say of themselves whether they count.
    pub counts_open: bool,
}

impl Hold {
    /// Whether a request of this customer for these items is a repeat of the one that placed this hold: another's hold is never found.
    /// Callers that name no customer are believed, as programs of an older release name none.
    #[must_use]
    pub fn was_asked_as(&self, items: &[Item], customer_id: Option<&CustomerId>) -> bool {
        self.lines.iter().map(|line| &line.item).eq(items)
            && self.customer_id.as_ref().zip(customer_id).is_none_or(|(own, asked)| own == asked)
    }

    /// What it counts while it is in this state, one part after the other: several may be of one thing.
    pub fn counts_as(&self, state: HoldState) -> impl Iterator<Item = (CountKey, i64)> {
        let open = (self.counts_open && state == HoldState::Active).then_some((Counted::OpenHolds, 1));
        let lines: &[Line] = if state == HoldState::Released { &[] } else { &self.lines };
        self.customer_id.iter().flat_map(move |customer_id| {
            let all = open.into_iter().chain(lines.iter().filter_map(Line::counted));
            all.map(|(counted, number)| (CountKey { customer_id: customer_id.clone(), counted }, number))
        })
    }
}
