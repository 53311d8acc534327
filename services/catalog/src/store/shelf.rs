//! Tables `products` and `seats` as holds see them: what is on the shelf, taken off it and put back.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::PgConnection;
use uuid::Uuid;

use super::holds::expect_rows;
use crate::{
    domain::{
        hold::{HoldKey, HoldState, SeatKey},
        ids::{ProductId, SeatMapId},
        place::{ProductOnSale, SeatOnSale, Terms},
        settle::Delta,
    },
    error::Error,
};

/// Locks the products that exist, in the order of their ids so that two batches never wait for each other.
pub async fn lock_products(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<ProductId, ProductOnSale>, Error> {
    let rows = sqlx::query!(
        r#"select product_id, on_hand - held - sold as "available!", price_minor, currency, hold_ttl_ms
           from products
           where product_id = any($1) and deleted_at is null
           order by product_id
           for update"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    let on_sale = rows.into_iter().map(|row| {
        let terms =
            Terms { price_minor: row.price_minor, currency: row.currency, hold_ttl_ms: row.hold_ttl_ms };
        (row.product_id.into(), ProductOnSale { available: row.available, terms })
    });
    Ok(on_sale.collect())
}

/// Locks the seats that exist, in the order of their keys. The seats of a deleted map do not.
pub async fn lock_seats(
    conn: &mut PgConnection,
    seats: &[&SeatKey],
) -> Result<HashMap<SeatKey, (SeatOnSale, Terms)>, Error> {
    let (maps, labels) = columns(seats.iter().copied());
    let rows = sqlx::query!(
        "select s.seat_map_id, s.label, s.state, s.price_minor, m.currency, m.hold_ttl_ms
         from seats s
         join seat_maps m on m.seat_map_id = s.seat_map_id and m.deleted_at is null
         where (s.seat_map_id, s.label) in (select * from unnest($1::uuid[], $2::text[]))
         order by s.seat_map_id, s.label
         for update of s",
        &maps,
        &labels as _
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|row| {
            let state = match row.state.as_str() {
                "FREE" => SeatOnSale::Free,
                "HELD" | "SOLD" => SeatOnSale::Taken,
                "BLOCKED" => SeatOnSale::Blocked,
                _ => {
                    let what = format!("seat {} of {}: unknown state", row.label, row.seat_map_id);
                    return Err(Error::Inconsistent(what));
                }
            };
            let terms =
                Terms { price_minor: row.price_minor, currency: row.currency, hold_ttl_ms: row.hold_ttl_ms };
            Ok((SeatKey { seat_map_id: row.seat_map_id.into(), label: row.label }, (state, terms)))
        })
        .collect()
}

/// Which of these maps exist.
pub async fn find_seat_maps(conn: &mut PgConnection, ids: &[Uuid]) -> Result<HashSet<SeatMapId>, Error> {
    let found = sqlx::query_scalar!(
        "select seat_map_id from seat_maps where seat_map_id = any($1) and deleted_at is null",
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(found.into_iter().map(SeatMapId::from).collect())
}

/// Takes units of locked products; never more than there are.
pub async fn take_products(conn: &mut PgConnection, units: &BTreeMap<ProductId, i64>) -> Result<(), Error> {
    let ids: Vec<Uuid> = units.keys().map(|id| id.as_uuid()).collect();
    let quantities: Vec<i64> = units.values().copied().collect();
    let written = sqlx::query!(
        "update products p
         set held = p.held + u.quantity
         from unnest($1::uuid[], $2::bigint[]) as u (product_id, quantity)
         where p.product_id = u.product_id and p.held + p.sold + u.quantity <= p.on_hand",
        &ids,
        &quantities
    )
    .execute(conn)
    .await?
    .rows_affected();
    expect_rows("products", written, ids.len())
}

/// Gives locked free seats to holds.
pub async fn take_seats(conn: &mut PgConnection, takers: &BTreeMap<SeatKey, HoldKey>) -> Result<(), Error> {
    let (maps, labels) = columns(takers.keys());
    let bookings: Vec<Uuid> = takers.values().map(|key| key.booking_id.as_uuid()).collect();
    let attempts: Vec<i32> = takers.values().map(|key| key.attempt).collect();
    let written = sqlx::query!(
        "update seats s
         set state = 'HELD', booking_id = t.booking_id, attempt = t.attempt
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[]) as t (seat_map_id, label, booking_id, attempt)
         where s.seat_map_id = t.seat_map_id and s.label = t.label and s.state = 'FREE'",
        &maps,
        &labels as _,
        &bookings,
        &attempts
    )
    .execute(conn)
    .await?
    .rows_affected();
    expect_rows("seats", written, takers.len())
}

/// Changes what is held and sold of products, which it locks in the order of their ids first.
pub async fn settle_products(
    conn: &mut PgConnection,
    deltas: &BTreeMap<ProductId, Delta>,
) -> Result<(), Error> {
    let ids: Vec<Uuid> = deltas.keys().map(|id| id.as_uuid()).collect();
    let held: Vec<i64> = deltas.values().map(|delta| delta.held).collect();
    let sold: Vec<i64> = deltas.values().map(|delta| delta.sold).collect();
    let written = sqlx::query!(
        "with locked as materialized (
             select product_id from products where product_id = any($1) order by product_id for update
         )
         update products p
         set held = p.held + d.held, sold = p.sold + d.sold
         from locked l
         join unnest($1::uuid[], $2::bigint[], $3::bigint[]) as d (product_id, held, sold)
              on d.product_id = l.product_id
         where p.product_id = l.product_id",
        &ids,
        &held,
        &sold
    )
    .execute(conn)
    .await?
    .rows_affected();
    expect_rows("products", written, ids.len())
}

/// Sells or frees the seats that holds have, which it locks in the order of their keys first.
pub async fn settle_seats(
    conn: &mut PgConnection,
    seats: &BTreeMap<SeatKey, (HoldKey, HoldState)>,
) -> Result<(), Error> {
    let (maps, labels) = columns(seats.keys());
    let bookings: Vec<Uuid> = seats.values().map(|(key, _)| key.booking_id.as_uuid()).collect();
    let attempts: Vec<i32> = seats.values().map(|(key, _)| key.attempt).collect();
    let sold: Vec<bool> = seats.values().map(|(_, state)| *state == HoldState::Committed).collect();
    let written = sqlx::query!(
        "with locked as materialized (
             select seat_map_id, label from seats
             where (seat_map_id, label) in (select * from unnest($1::uuid[], $2::text[]))
             order by seat_map_id, label
             for update
         )
         update seats s
         set state = case when d.sold then 'SOLD' else 'FREE' end,
             booking_id = case when d.sold then s.booking_id end,
             attempt = case when d.sold then s.attempt end
         from locked l
         join unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::bool[])
              as d (seat_map_id, label, booking_id, attempt, sold)
              on d.seat_map_id = l.seat_map_id and d.label = l.label
         where s.seat_map_id = l.seat_map_id and s.label = l.label
           and s.booking_id = d.booking_id and s.attempt = d.attempt",
        &maps,
        &labels as _,
        &bookings,
        &attempts,
        &sold
    )
    .execute(conn)
    .await?
    .rows_affected();
    expect_rows("seats", written, seats.len())
}

fn columns<'a>(seats: impl Iterator<Item = &'a SeatKey>) -> (Vec<Uuid>, Vec<&'a str>) {
    seats.map(|seat| (seat.seat_map_id.as_uuid(), seat.label.as_str())).unzip()
}
