//! The hot statements: one that sees all that a batch of holds asks about, and one that takes all that was decided.
//!
//! The first locks nothing; the second takes everything or fails as a conflict, and locks for no longer than it runs. Who has
//! failed too often locks first.

use std::collections::BTreeMap;

use sqlx::{PgConnection, types::Json};
use telemetry::Chain;
use uuid::Uuid;

use super::holds::{self, LineRow, Stored};
use crate::{
    domain::{
        hold::{Hold, HoldKey, SeatKey},
        ids::ProductId,
        place::{ProductOnSale, SeatOnSale, Shelf, Terms, Writes},
    },
    error::Error,
};

/// What a batch asks about.
#[derive(Clone, Debug, Default)]
pub struct Asked<'a> {
    /// The keys of its holds.
    pub keys: Vec<HoldKey>,
    /// The products, each once.
    pub products: Vec<Uuid>,
    /// The seats, each once.
    pub seats: Vec<&'a SeatKey>,
}

/// Locks the products that a batch asks about, in the order of their ids.
pub async fn lock_products(conn: &mut PgConnection, asked: &Asked<'_>) -> Result<(), Error> {
    sqlx::query_scalar!(
        "select product_id from products where product_id = any($1) order by product_id for update",
        &asked.products
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// Locks the seats that a batch asks about, in the order of their keys; to be called behind [`lock_products`].
pub async fn lock_seats(conn: &mut PgConnection, asked: &Asked<'_>) -> Result<(), Error> {
    let (maps, labels) = seat_columns(asked.seats.iter().copied());
    sqlx::query_scalar!(
        "select s.label
         from unnest($1::uuid[], $2::text[]) as a (seat_map_id, label)
         join seats s on s.seat_map_id = a.seat_map_id and s.label = a.label
         order by s.seat_map_id, s.label
         for update of s",
        &maps,
        &labels as _
    )
    .fetch_all(conn)
    .await?;
    Ok(())
}

/// A row of the shelf: a hold, a product, or a seat, or else a map without the seat. What it is not is null.
struct Row {
    booking_id: Option<Uuid>,
    attempt: Option<i32>,
    lines: Option<Json<Stored>>,
    product_id: Option<Uuid>,
    available: Option<i64>,
    seat_map_id: Option<Uuid>,
    label: Option<String>,
    state: Option<String>,
    price_minor: Option<i64>,
    currency: Option<String>,
    hold_ttl_ms: Option<i64>,
}

/// What of all that exists, as it stood in one instant: so who sees what a hold has taken sees the hold too. Neither a deleted
/// product nor the seats of a deleted map do.
pub async fn look(conn: &mut PgConnection, asked: &Asked<'_>) -> Result<Shelf, Error> {
    let (booking_ids, attempts) = holds::columns(asked.keys.iter());
    let (maps, labels) = seat_columns(asked.seats.iter().copied());
    let rows = sqlx::query_as!(
        Row,
        r#"select h.booking_id as "booking_id?", h.attempt as "attempt?", h.lines as "lines?: Json<Stored>",
                  null::uuid as product_id, null::bigint as available,
                  null::uuid as seat_map_id, null::text as label,
                  h.state as "state?", null::bigint as price_minor, h.currency as "currency?", h.hold_ttl_ms as "hold_ttl_ms?"
           from unnest($1::uuid[], $2::int[]) as k (booking_id, attempt)
           join holds h on h.booking_id = k.booking_id and h.attempt = k.attempt
           union all
           select null, null, null, product_id, on_hand - held - sold, null, null, null, price_minor, currency,
                  hold_ttl_ms
           from products
           where product_id = any($3) and deleted_at is null
           union all
           select null, null, null, null, null, m.seat_map_id, s.label, s.state, s.price_minor, m.currency,
                  m.hold_ttl_ms
           from unnest($4::uuid[], $5::text[]) as a (seat_map_id, label)
           join seat_maps m on m.seat_map_id = a.seat_map_id and m.deleted_at is null
           left join seats s on s.seat_map_id = a.seat_map_id and s.label = a.label"#,
        &booking_ids,
        &attempts,
        &asked.products,
        &maps,
        &labels as _
    )
    .fetch_all(conn)
    .await?;
    let mut found = Shelf::default();
    for row in rows {
        row.put_on(&mut found)?;
    }
    Ok(found)
}

impl Row {
    fn put_on(self, found: &mut Shelf) -> Result<(), Error> {
        let wrong =
            || Error::Inconsistent("a row of the shelf is neither hold nor product nor seat".to_owned());
        let (currency, hold_ttl_ms) = self.currency.zip(self.hold_ttl_ms).ok_or_else(wrong)?;
        if let (Some(booking_id), Some(attempt), Some(state), Some(lines)) =
            (self.booking_id, self.attempt, &self.state, self.lines)
        {
            let state = state.clone();
            let row = holds::Row { booking_id, attempt, state, lines, currency, hold_ttl_ms };
            match Hold::try_from(row) {
                Ok(hold) => drop(found.holds.insert(hold.key, hold)),
                Err(wrong) => {
                    tracing::error!(error = %Chain(&wrong), "a hold makes no sense: requests for it fail");
                    found.damaged.insert(HoldKey { booking_id: booking_id.into(), attempt });
                }
            }
            return Ok(());
        }
        if let (Some(product_id), Some(available), Some(price_minor)) =
            (self.product_id, self.available, self.price_minor)
        {
            let terms = Terms { price_minor, currency, hold_ttl_ms };
            found.products.insert(product_id.into(), ProductOnSale { available, terms });
            return Ok(());
        }
        let seat_map_id = self.seat_map_id.ok_or_else(wrong)?.into();
        if let (Some(label), Some(state), Some(price_minor)) = (self.label, self.state, self.price_minor) {
            let terms = Terms { price_minor, currency, hold_ttl_ms };
            let state = seat_state(&state).ok_or_else(|| {
                Error::Inconsistent(format!("seat {label} of {seat_map_id}: unknown state"))
            })?;
            found.seats.insert(SeatKey { seat_map_id, label }, (state, terms));
        } else {
            found.seat_maps.insert(seat_map_id);
        }
        Ok(())
    }
}

fn seat_state(text: &str) -> Option<SeatOnSale> {
    match text {
        "FREE" => Some(SeatOnSale::Free),
        "HELD" | "SOLD" => Some(SeatOnSale::Taken),
        "BLOCKED" => Some(SeatOnSale::Blocked),
        _ => None,
    }
}

/// Takes units and seats, and stores the holds that have them, to be reviewed when their time is up and `grace_ms` has passed.
/// All of it, or it fails: as a conflict if somebody took or removed something since it was seen, by `holds_pkey` if a hold is
/// there already. Rows are locked in the order of their keys, products before seats, so that two batches do not wait for each
/// other for what they take. A repeat whose hold is being settled at this moment may, and begins anew.
pub async fn take(conn: &mut PgConnection, writes: &Writes, grace_ms: i64) -> Result<(), Error> {
    let (products, units) = product_columns(&writes.products);
    let (maps, labels) = seat_columns(writes.seats.keys());
    let (seat_bookings, seat_attempts) = holds::columns(writes.seats.values());
    let (booking_ids, attempts) = holds::columns(writes.holds.iter().map(|hold| &hold.key));
    let lines: Vec<Json<Vec<LineRow>>> =
        writes.holds.iter().map(|hold| Json(hold.lines.iter().map(LineRow::from).collect())).collect();
    let currencies: Vec<&str> = writes.holds.iter().map(|hold| hold.currency.as_str()).collect();
    let ttls: Vec<i64> = writes.holds.iter().map(|hold| hold.hold_ttl_ms).collect();
    sqlx::query!(
        r#"with products_locked as materialized (
               select p.product_id, u.quantity
               from unnest($1::uuid[], $2::bigint[]) as u (product_id, quantity)
               join products p on p.product_id = u.product_id
               order by p.product_id
               for update of p
           ), products_taken as (
               update products p
               set held = p.held + l.quantity
               from products_locked l
               where p.product_id = l.product_id and p.deleted_at is null
                 and p.held + p.sold + l.quantity <= p.on_hand
               returning p.product_id
           ), seats_locked as materialized (
               select s.seat_map_id, s.label, t.booking_id, t.attempt
               from unnest($3::uuid[], $4::text[], $5::uuid[], $6::int[]) as t (seat_map_id, label, booking_id, attempt)
               join seats s on s.seat_map_id = t.seat_map_id and s.label = t.label
               order by s.seat_map_id, s.label
               for update of s
           ), seats_taken as (
               update seats s
               set state = 'HELD', booking_id = l.booking_id, attempt = l.attempt
               from seats_locked l
               where s.seat_map_id = l.seat_map_id and s.label = l.label and s.state = 'FREE'
               returning s.label
           ), placed as (
               insert into holds (booking_id, attempt, state, lines, currency, hold_ttl_ms, review_at)
               select booking_id, attempt, 'ACTIVE', lines, currency, hold_ttl_ms,
                      now() + (hold_ttl_ms + $12) * interval '1 millisecond'
               from unnest($7::uuid[], $8::int[], $9::jsonb[], $10::text[], $11::bigint[])
                    as h (booking_id, attempt, lines, currency, hold_ttl_ms)
               order by booking_id, attempt
           )
           select take_all((select count(*) from products_taken) + (select count(*) from seats_taken),
                           cardinality($1) + cardinality($3)) is null as "taken!""#,
        &products,
        &units,
        &maps,
        &labels as _,
        &seat_bookings,
        &seat_attempts,
        &booking_ids,
        &attempts,
        &lines as _,
        &currencies as _,
        &ttls,
        grace_ms
    )
    .fetch_one(conn)
    .await?;
    Ok(())
}

fn product_columns(units: &BTreeMap<ProductId, i64>) -> (Vec<Uuid>, Vec<i64>) {
    units.iter().map(|(id, quantity)| (id.as_uuid(), *quantity)).unzip()
}

/// The columns that name seats.
pub(super) fn seat_columns<'a>(seats: impl Iterator<Item = &'a SeatKey>) -> (Vec<Uuid>, Vec<&'a str>) {
    seats.map(|seat| (seat.seat_map_id.as_uuid(), seat.label.as_str())).unzip()
}
