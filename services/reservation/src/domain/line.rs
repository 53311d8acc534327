//! The lines of a booking: what is booked, and at which price.

use uuid::Uuid;

/// What a line names. The catalog alone knows whether it exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// So many units of a product, 1 .. 1,000,000.
    Product {
        /// The product.
        product_id: Uuid,
        /// Units.
        quantity: i64,
    },
    /// One seat.
    Seat {
        /// Its map.
        seat_map_id: Uuid,
        /// Its label in the map.
        label: String,
    },
}

impl Item {
    /// How many units the line counts for in the total.
    #[must_use]
    pub const fn quantity(&self) -> i64 {
        match self {
            Self::Product { quantity, .. } => *quantity,
            Self::Seat { .. } => 1,
        }
    }
}

/// One line of a booking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What is booked.
    pub item: Item,
    /// The price of one unit in minor units of the booking's currency, as at the hold; none before it.
    pub unit_price_minor: Option<i64>,
}

impl From<Item> for Line {
    fn from(item: Item) -> Self {
        Self { item, unit_price_minor: None }
    }
}

/// The sum of quantity times unit price. The catalog refuses holds whose sum would not fit.
#[must_use]
pub fn total_minor(lines: &[Line]) -> i64 {
    lines.iter().fold(0, |sum, line| {
        sum.saturating_add(line.unit_price_minor.unwrap_or(0).saturating_mul(line.item.quantity()))
    })
}
