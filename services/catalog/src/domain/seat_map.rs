//! Seat maps: sets of seats that are sold one by one, in one currency and with one hold time.

use time::OffsetDateTime;

use super::{
    customer::CustomerLimit,
    hold_ttl::HoldTtl,
    ids::SeatMapId,
    money::{Currency, Price},
    revision::Revision,
};

/// How many seats of a map are in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatCounts {
    /// On sale.
    pub free: i32,
    /// In open holds.
    pub held: i32,
    /// Sold and not refunded.
    pub sold: i32,
    /// Taken off sale by the operator.
    pub blocked: i32,
}

/// A set of seats sold one by one: a flight, a showing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatMap {
    /// Its id.
    pub id: SeatMapId,
    /// What people read.
    pub display_name: String,
    /// How long a hold on its seats lasts.
    pub hold_ttl: HoldTtl,
    /// The most seats that one customer may have.
    pub customer_limit: CustomerLimit,
    /// Its seats.
    pub seats: SeatCounts,
    /// The version of the operator's fields.
    pub revision: Revision,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When the operator last changed it or its seats.
    pub updated_at: OffsetDateTime,
}

/// A seat map to be created, with its seats in the order in which they are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSeatMap {
    /// Its id.
    pub id: SeatMapId,
    /// What people read.
    pub display_name: String,
    /// The currency of all its seats.
    pub currency: Currency,
    /// How long a hold on its seats lasts.
    pub hold_ttl: HoldTtl,
    /// The most seats that one customer may have.
    pub customer_limit: CustomerLimit,
    /// Its seats.
    pub seats: Vec<NewSeat>,
}

/// A seat to be created, FREE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSeat {
    /// Its name, unique in its map.
    pub label: String,
    /// The part of the house or cabin.
    pub section: String,
    /// The row's name.
    pub row: String,
    /// The number within the row.
    pub number: i32,
    /// Its price, in the map's currency.
    pub price: Price,
}

/// What an operator changes about a seat map; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeatMapChange {
    /// What people read.
    pub display_name: Option<String>,
    /// How long a hold on its seats lasts, for later holds.
    pub hold_ttl: Option<HoldTtl>,
    /// The most seats that one customer may have, for later holds.
    pub customer_limit: Option<CustomerLimit>,
}
