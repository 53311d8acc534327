//! How lines stand in `bookings.lines`.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::domain::line::{Item, Line};

/// One element of the jsonb array.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LineRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat_map_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price_minor: Option<i64>,
}

impl From<&Line> for LineRow {
    fn from(line: &Line) -> Self {
        let price_minor = line.unit_price_minor;
        match &line.item {
            Item::Product { product_id, quantity } => Self {
                product_id: Some(*product_id),
                quantity: Some(*quantity),
                price_minor,
                ..Self::default()
            },
            Item::Seat { seat_map_id, label } => Self {
                seat_map_id: Some(*seat_map_id),
                label: Some(label.clone()),
                price_minor,
                ..Self::default()
            },
        }
    }
}

impl LineRow {
    /// The line; `None` when the element is neither units of a product nor a seat.
    #[must_use]
    pub fn into_line(self) -> Option<Line> {
        let item = match self {
            Self { product_id: Some(product_id), quantity: Some(quantity), seat_map_id: None, .. } => {
                Item::Product { product_id, quantity }
            }
            Self { seat_map_id: Some(seat_map_id), label: Some(label), product_id: None, .. } => {
                Item::Seat { seat_map_id, label }
            }
            _ => return None,
        };
        Some(Line { item, unit_price_minor: self.price_minor })
    }
}

/// The jsonb value of `lines` as it is found. Whatever it is: one that makes no sense is not to fail the rows beside it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub struct Stored(Box<RawValue>);

impl Stored {
    /// The lines; `None` when it is no array, or an element is neither units of a product nor a seat.
    #[must_use]
    pub fn into_lines(self) -> Option<Vec<Line>> {
        let rows: Vec<LineRow> = serde_json::from_str(self.0.get()).ok()?;
        rows.into_iter().map(LineRow::into_line).collect()
    }
}

/// The jsonb value of `lines` as it is written.
pub fn to_json(lines: &[Line]) -> sqlx::types::Json<Vec<LineRow>> {
    sqlx::types::Json(lines.iter().map(LineRow::from).collect())
}
