//! Table `holds`.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use crate::{
    domain::{
        customer::CustomerId,
        hold::{Hold, HoldKey, HoldState, Item, Line, OverdueHold, SeatKey},
    },
    error::Error,
};

/// One element of `holds.lines`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct LineRow {
    #[serde(skip_serializing_if = "Option::is_none")]
    product_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seat_map_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    price_minor: i64,
    /// Left out where nothing counts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    counts: bool,
}

impl From<&Line> for LineRow {
    fn from(line: &Line) -> Self {
        let Line { price_minor, counts, .. } = *line;
        match &line.item {
            Item::Product { product_id, quantity } => Self {
                product_id: Some(product_id.as_uuid()),
                quantity: Some(*quantity),
                price_minor,
                counts,
                ..Self::default()
            },
            Item::Seat(seat) => Self {
                seat_map_id: Some(seat.seat_map_id.as_uuid()),
                label: Some(seat.label.clone()),
                price_minor,
                counts,
                ..Self::default()
            },
        }
    }
}

impl LineRow {
    fn into_line(self) -> Option<Line> {
        let item = match self {
            Self { product_id: Some(product_id), quantity: Some(quantity), seat_map_id: None, .. } => {
                Item::Product { product_id: product_id.into(), quantity }
            }
            Self { seat_map_id: Some(seat_map_id), label: Some(label), product_id: None, .. } => {
                Item::Seat(SeatKey { seat_map_id: seat_map_id.into(), label })
            }
            _ => return None,
        };
        Some(Line { item, price_minor: self.price_minor, counts: self.counts })
    }
}

/// The jsonb value of `lines` as it is found. Whatever it is: one that makes no sense is not to fail the rows beside it.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Stored(Box<RawValue>);

impl Stored {
    /// The lines; `None` when it is no array, or an element is neither units of a product nor a seat.
    fn into_lines(self) -> Option<Vec<Line>> {
        let rows: Vec<LineRow> = serde_json::from_str(self.0.get()).ok()?;
        rows.into_iter().map(LineRow::into_line).collect()
    }
}

/// A hold as it is read.
pub(super) struct Row {
    pub(super) booking_id: Uuid,
    pub(super) attempt: i32,
    pub(super) state: String,
    pub(super) lines: Json<Stored>,
    pub(super) currency: String,
    pub(super) hold_ttl_ms: i64,
    pub(super) customer_id: Option<String>,
    pub(super) counts_open: bool,
}

impl TryFrom<Row> for Hold {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |what| Error::Inconsistent(format!("hold {}/{}: {what}", row.booking_id, row.attempt));
        let state = HoldState::parse(&row.state).ok_or_else(|| wrong("unknown state"))?;
        let lines = row.lines.0.into_lines();
        let customer_id = row.customer_id.map(CustomerId::try_from).transpose();
        let customer_id = customer_id.map_err(|_| wrong("its customer has no id"))?;
        Ok(Self {
            key: HoldKey { booking_id: row.booking_id.into(), attempt: row.attempt },
            state,
            lines: lines.ok_or_else(|| wrong("a line is neither units of a product nor a seat"))?,
            currency: row.currency,
            hold_ttl_ms: row.hold_ttl_ms,
            customer_id,
            counts_open: row.counts_open,
        })
    }
}

/// The columns that name holds.
pub(super) fn columns<'a>(keys: impl Iterator<Item = &'a HoldKey>) -> (Vec<Uuid>, Vec<i32>) {
    keys.map(|key| (key.booking_id.as_uuid(), key.attempt)).unzip()
}

/// Locks the holds that are there under these keys, in the order of their keys so that two batches never wait for each
/// other.
pub async fn lock(conn: &mut PgConnection, keys: &[HoldKey]) -> Result<HashMap<HoldKey, Hold>, Error> {
    let (booking_ids, attempts) = columns(keys.iter());
    let rows = sqlx::query_as!(
        Row,
        r#"select h.booking_id, h.attempt, h.state, h.lines as "lines: Json<Stored>", h.currency, h.hold_ttl_ms,
                  h.customer_id, h.counts_open
           from unnest($1::uuid[], $2::int[]) as k (booking_id, attempt)
           join holds h on h.booking_id = k.booking_id and h.attempt = k.attempt
           order by h.booking_id, h.attempt
           for update of h"#,
        &booking_ids,
        &attempts
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|row| Hold::try_from(row).map(|hold| (hold.key, hold))).collect()
}

/// Moves locked holds on to COMMITTED or RELEASED.
pub async fn settle(conn: &mut PgConnection, states: &BTreeMap<HoldKey, HoldState>) -> Result<(), Error> {
    let (booking_ids, attempts) = columns(states.keys());
    let states: Vec<&str> = states.values().map(|state| state.as_str()).collect();
    let written = sqlx::query!(
        "update holds h
         set state = s.state, review_at = null, settled_at = now()
         from unnest($1::uuid[], $2::int[], $3::text[]) as s (booking_id, attempt, state)
         where h.booking_id = s.booking_id and h.attempt = s.attempt and h.state <> 'RELEASED'",
        &booking_ids,
        &attempts,
        &states as _
    )
    .execute(conn)
    .await?
    .rows_affected();
    expect_rows("holds", written, states.len())
}

/// Leaves locked ACTIVE holds alone for so many ms.
pub async fn review_later(conn: &mut PgConnection, reviews: &BTreeMap<HoldKey, i64>) -> Result<(), Error> {
    let (booking_ids, attempts) = columns(reviews.keys());
    let after: Vec<i64> = reviews.values().copied().collect();
    let written = sqlx::query!(
        "update holds h
         set review_at = clock_timestamp() + r.after_ms * interval '1 millisecond'
         from unnest($1::uuid[], $2::int[], $3::bigint[]) as r (booking_id, attempt, after_ms)
         where h.booking_id = r.booking_id and h.attempt = r.attempt and h.state = 'ACTIVE'",
        &booking_ids,
        &attempts,
        &after
    )
    .execute(conn)
    .await?
    .rows_affected();
    expect_rows("holds", written, reviews.len())
}

/// ACTIVE holds whose review time has passed, the most overdue first, behind this one. The clock is read once: so the index ends
/// where it stands.
pub async fn list_overdue(
    conn: &mut PgConnection,
    after: OverdueHold,
    limit: i64,
) -> Result<Vec<OverdueHold>, Error> {
    let rows = sqlx::query!(
        r#"select booking_id, attempt, review_at as "review_at!" from holds
         where review_at <= (select clock_timestamp()) and (review_at, booking_id, attempt) > ($1, $2, $3)
         order by review_at, booking_id, attempt
         limit $4"#,
        after.review_at,
        after.key.booking_id.as_uuid(),
        after.key.attempt,
        limit
    )
    .fetch_all(conn)
    .await?;
    let overdue = |booking_id: Uuid, attempt, review_at| OverdueHold {
        review_at,
        key: HoldKey { booking_id: booking_id.into(), attempt },
    };
    Ok(rows.into_iter().map(|row| overdue(row.booking_id, row.attempt, row.review_at)).collect())
}

/// Every row that was locked takes its change, or the unit of work must not commit.
pub(super) fn expect_rows(table: &str, written: u64, expected: usize) -> Result<(), Error> {
    if written == expected as u64 {
        return Ok(());
    }
    Err(Error::Inconsistent(format!("{expected} locked rows of {table} were to change, {written} did")))
}
