//! Table `seats`, as operators see it. Who holds a seat is the business of the holds.
//!
//! Locks are taken in the order of (`seat_map_id`, `label`), here as by the holds, so that nobody deadlocks.

use sqlx::PgConnection;

use super::{inconsistent, price};
use crate::{
    Error,
    domain::{
        ids::SeatMapId,
        money::Currency,
        seat::{Seat, SeatState},
        seat_map::NewSeat,
    },
};

struct SeatRow {
    label: String,
    position: i32,
    section: String,
    row_name: String,
    number: i32,
    currency: String,
    price_minor: i64,
    state: String,
}

impl TryFrom<SeatRow> for Seat {
    type Error = Error;

    fn try_from(row: SeatRow) -> Result<Self, Error> {
        Ok(Self {
            label: row.label,
            position: row.position,
            section: row.section,
            row: row.row_name,
            number: row.number,
            price: price(&row.currency, row.price_minor)?,
            state: row.state.parse().map_err(inconsistent("seats.state"))?,
        })
    }
}

/// Inserts the seats of a new map, FREE, in their order.
pub async fn insert(conn: &mut PgConnection, seat_map_id: SeatMapId, seats: &[NewSeat]) -> Result<(), Error> {
    let labels: Vec<_> = seats.iter().map(|seat| seat.label.clone()).collect();
    let sections: Vec<_> = seats.iter().map(|seat| seat.section.clone()).collect();
    let rows: Vec<_> = seats.iter().map(|seat| seat.row.clone()).collect();
    let numbers: Vec<_> = seats.iter().map(|seat| seat.number).collect();
    let prices: Vec<_> = seats.iter().map(|seat| seat.price.minor_units()).collect();
    sqlx::query!(
        "insert into seats (seat_map_id, label, position, section, row_name, number, price_minor)
         select $1, label, position::int - 1, section, row_name, number, price_minor
         from unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[])
              with ordinality as new (label, section, row_name, number, price_minor, position)",
        seat_map_id.as_uuid(),
        &labels,
        &sections,
        &rows,
        &numbers,
        &prices,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Lists the seats of a map in its order, those after position `after`; `state`: only those in it.
pub async fn list(
    conn: &mut PgConnection,
    seat_map_id: SeatMapId,
    state: Option<SeatState>,
    after: Option<i32>,
    limit: i64,
) -> Result<Vec<Seat>, Error> {
    sqlx::query_as!(
        SeatRow,
        "select label, position, section, row_name, number, currency, price_minor, state
         from seats
         join seat_maps using (seat_map_id)
         where seat_map_id = $1 and position > coalesce($2, -1) and state = coalesce($3, state)
         order by position
         limit $4",
        seat_map_id.as_uuid(),
        after,
        state.map(SeatState::as_str),
        limit,
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Seat::try_from)
    .collect()
}

/// Locks those of a map's seats that have one of the labels; in the order of their labels.
pub async fn lock(
    conn: &mut PgConnection,
    seat_map_id: SeatMapId,
    currency: Currency,
    labels: &[String],
) -> Result<Vec<Seat>, Error> {
    sqlx::query_as!(
        SeatRow,
        r#"select label, position, section, row_name, number, $3 as "currency!", price_minor, state
           from seats
           where seat_map_id = $1 and label = any($2)
           order by seat_map_id, label
           for no key update"#,
        seat_map_id.as_uuid(),
        labels,
        currency.as_str(),
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(Seat::try_from)
    .collect()
}

/// Locks all seats of a map; whether one of them is held.
pub async fn lock_all(conn: &mut PgConnection, seat_map_id: SeatMapId) -> Result<bool, Error> {
    let states = sqlx::query_scalar!(
        "select state from seats where seat_map_id = $1 order by seat_map_id, label for no key update",
        seat_map_id.as_uuid(),
    )
    .fetch_all(conn)
    .await?;
    Ok(states.iter().any(|state| state == SeatState::Held.as_str()))
}

/// Takes all FREE seats of a map off sale.
pub async fn block_free(conn: &mut PgConnection, seat_map_id: SeatMapId) -> Result<(), Error> {
    sqlx::query!(
        "update seats set state = 'BLOCKED' where seat_map_id = $1 and state = 'FREE'",
        seat_map_id.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes price and state of seats that are locked; how many that changed.
pub async fn update(conn: &mut PgConnection, seat_map_id: SeatMapId, seats: &[Seat]) -> Result<u64, Error> {
    let labels: Vec<_> = seats.iter().map(|seat| seat.label.clone()).collect();
    let prices: Vec<_> = seats.iter().map(|seat| seat.price.minor_units()).collect();
    let states: Vec<_> = seats.iter().map(|seat| seat.state.as_str().to_owned()).collect();
    let updated = sqlx::query!(
        "update seats
         set price_minor = new.price_minor, state = new.state
         from unnest($2::text[], $3::bigint[], $4::text[]) as new (label, price_minor, state)
         where seats.seat_map_id = $1 and seats.label = new.label
           and (seats.price_minor, seats.state) is distinct from (new.price_minor, new.state)",
        seat_map_id.as_uuid(),
        &labels,
        &prices,
        &states,
    )
    .execute(conn)
    .await?;
    Ok(updated.rows_affected())
}
