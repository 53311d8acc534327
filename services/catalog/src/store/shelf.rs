//! Tables `products` and `seats` as verdicts change them: sold, or back on the shelf. `place.rs` takes off it.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use super::{holds::expect_rows, place::seat_columns};
use crate::{
    domain::{
        hold::{HoldKey, HoldState, SeatKey},
        ids::ProductId,
        settle::Delta,
    },
    error::Error,
};

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
             select p.product_id, d.held, d.sold
             from unnest($1::uuid[], $2::bigint[], $3::bigint[]) as d (product_id, held, sold)
             join products p on p.product_id = d.product_id
             order by p.product_id
             for update of p
         )
         update products p
         set held = p.held + l.held, sold = p.sold + l.sold
         from locked l
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
    let (maps, labels) = seat_columns(seats.keys());
    let bookings: Vec<Uuid> = seats.values().map(|(key, _)| key.booking_id.as_uuid()).collect();
    let attempts: Vec<i32> = seats.values().map(|(key, _)| key.attempt).collect();
    let sold: Vec<bool> = seats.values().map(|(_, state)| *state == HoldState::Committed).collect();
    let written = sqlx::query!(
        "with locked as materialized (
             select s.seat_map_id, s.label, d.booking_id, d.attempt, d.sold
             from unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::bool[])
                  as d (seat_map_id, label, booking_id, attempt, sold)
             join seats s on s.seat_map_id = d.seat_map_id and s.label = d.label
             order by s.seat_map_id, s.label
             for update of s
         )
         update seats s
         set state = case when l.sold then 'SOLD' else 'FREE' end,
             booking_id = case when l.sold then s.booking_id end,
             attempt = case when l.sold then s.attempt end
         from locked l
         where s.seat_map_id = l.seat_map_id and s.label = l.label
           and s.booking_id = l.booking_id and s.attempt = l.attempt",
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
