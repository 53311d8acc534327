//! Table `seat_maps`, read together with the counts of each map's seats.

use postgres::StoredTime;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{RequestHash, currency, inconsistent, time};
use crate::{
    Error,
    domain::{
        customer::CustomerLimit,
        hold_ttl::HoldTtl,
        ids::SeatMapId,
        money::Currency,
        revision::{Expected, Revision},
        seat_map::{NewSeatMap, SeatCounts, SeatMap, SeatMapChange},
    },
};

/// A seat map that is there or was deleted, with what it was created from.
#[derive(Debug)]
pub struct Found {
    /// The seat map.
    pub seat_map: SeatMap,
    /// The hash of the request that created it.
    pub request_hash: Vec<u8>,
    /// Whether it was taken off sale for good.
    pub deleted: bool,
}

/// What is known of a seat map whose row is locked.
#[derive(Clone, Copy, Debug)]
pub struct Locked {
    /// The currency of all its seats.
    pub currency: Currency,
    /// The version of the operator's fields.
    pub revision: Revision,
    /// Whether it was taken off sale for good.
    pub deleted: bool,
}

struct SeatMapRow {
    seat_map_id: Uuid,
    display_name: String,
    hold_ttl_ms: i64,
    max_units_per_customer: i64,
    revision: i64,
    created_at: StoredTime,
    updated_at: StoredTime,
    request_hash: Vec<u8>,
    deleted_at: Option<StoredTime>,
    free: i32,
    held: i32,
    sold: i32,
    blocked: i32,
}

impl TryFrom<SeatMapRow> for SeatMap {
    type Error = Error;

    fn try_from(row: SeatMapRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.seat_map_id.into(),
            display_name: row.display_name,
            hold_ttl: row.hold_ttl_ms.try_into().map_err(inconsistent("seat_maps.hold_ttl_ms"))?,
            customer_limit: row
                .max_units_per_customer
                .try_into()
                .map_err(inconsistent("seat_maps.max_units_per_customer"))?,
            seats: SeatCounts { free: row.free, held: row.held, sold: row.sold, blocked: row.blocked },
            revision: row.revision.into(),
            created_at: time("seat_maps.created_at", row.created_at)?,
            updated_at: time("seat_maps.updated_at", row.updated_at)?,
        })
    }
}

impl TryFrom<SeatMapRow> for Found {
    type Error = Error;

    fn try_from(mut row: SeatMapRow) -> Result<Self, Error> {
        let request_hash = std::mem::take(&mut row.request_hash);
        Ok(Self { deleted: row.deleted_at.is_some(), seat_map: row.try_into()?, request_hash })
    }
}

/// Inserts a seat map, still without its seats; `false` when its id was used before.
pub async fn insert(
    conn: &mut PgConnection,
    seat_map: &NewSeatMap,
    request_hash: &RequestHash,
) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into seat_maps (seat_map_id, display_name, currency, hold_ttl_ms, request_hash, max_units_per_customer)
         values ($1, $2, $3, $4, $5, $6)
         on conflict do nothing",
        seat_map.id.as_uuid(),
        seat_map.display_name,
        seat_map.currency.as_str(),
        seat_map.hold_ttl.as_ms(),
        request_hash,
        seat_map.customer_limit.number(),
    )
    .execute(conn)
    .await?;
    Ok(inserted.rows_affected() > 0)
}

/// Reads a seat map, also one that was deleted.
pub async fn find(conn: &mut PgConnection, id: SeatMapId) -> Result<Option<Found>, Error> {
    sqlx::query_as!(
        SeatMapRow,
        r#"select seat_map_id, display_name, hold_ttl_ms, max_units_per_customer, revision, created_at as "created_at: StoredTime",
                  updated_at as "updated_at: StoredTime", request_hash, deleted_at as "deleted_at: StoredTime",
                  free as "free!", held as "held!", sold as "sold!", blocked as "blocked!"
           from seat_maps
           cross join lateral (
               select count(*) filter (where state = 'FREE')::int as free,
                      count(*) filter (where state = 'HELD')::int as held,
                      count(*) filter (where state = 'SOLD')::int as sold,
                      count(*) filter (where state = 'BLOCKED')::int as blocked
               from seats
               where seats.seat_map_id = seat_maps.seat_map_id
           ) as counts
           where seat_map_id = $1"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?
    .map(Found::try_from)
    .transpose()
}

/// Whether there is such a seat map, and it was not deleted.
pub async fn is_present(conn: &mut PgConnection, id: SeatMapId) -> Result<bool, Error> {
    let present = sqlx::query_scalar!(
        r#"select exists (select from seat_maps where seat_map_id = $1 and deleted_at is null) as "present!""#,
        id.as_uuid(),
    )
    .fetch_one(conn)
    .await?;
    Ok(present)
}

/// Lists seat maps by id, those after `after`.
pub async fn list(
    conn: &mut PgConnection,
    after: Option<SeatMapId>,
    limit: i64,
) -> Result<Vec<SeatMap>, Error> {
    sqlx::query_as!(
        SeatMapRow,
        r#"select seat_map_id, display_name, hold_ttl_ms, max_units_per_customer, revision, created_at as "created_at: StoredTime",
                  updated_at as "updated_at: StoredTime", request_hash, deleted_at as "deleted_at: StoredTime",
                  free as "free!", held as "held!", sold as "sold!", blocked as "blocked!"
           from seat_maps
           cross join lateral (
               select count(*) filter (where state = 'FREE')::int as free,
                      count(*) filter (where state = 'HELD')::int as held,
                      count(*) filter (where state = 'SOLD')::int as sold,
                      count(*) filter (where state = 'BLOCKED')::int as blocked
               from seats
               where seats.seat_map_id = seat_maps.seat_map_id
           ) as counts
           where deleted_at is null
             and seat_map_id >= coalesce($1, '00000000-0000-0000-0000-000000000000'::uuid)
             and seat_map_id is distinct from $1
           order by seat_map_id
           limit $2"#,
        after.map(SeatMapId::as_uuid),
        limit,
    )
    .fetch_all(conn)
    .await?
    .into_iter()
    .map(SeatMap::try_from)
    .collect()
}

/// Changes the operator's fields of a seat map of the expected revision, if that makes a difference; whether it did.
pub async fn update(
    conn: &mut PgConnection,
    id: SeatMapId,
    expected: Expected,
    change: &SeatMapChange,
) -> Result<bool, Error> {
    let updated = sqlx::query!(
        "update seat_maps
         set display_name = coalesce($3, display_name), hold_ttl_ms = coalesce($4, hold_ttl_ms),
             max_units_per_customer = coalesce($5, max_units_per_customer),
             revision = revision + 1, updated_at = now()
         where seat_map_id = $1 and deleted_at is null and revision = coalesce($2, revision)
           and (display_name, hold_ttl_ms, max_units_per_customer) is distinct from
               (coalesce($3, display_name), coalesce($4, hold_ttl_ms), coalesce($5, max_units_per_customer))",
        id.as_uuid(),
        expected.number(),
        change.display_name.as_deref(),
        change.hold_ttl.map(HoldTtl::as_ms),
        change.customer_limit.map(CustomerLimit::number),
    )
    .execute(conn)
    .await?;
    Ok(updated.rows_affected() > 0)
}

/// Locks a seat map against other operators, before any of its seats; also one that was deleted.
pub async fn lock(conn: &mut PgConnection, id: SeatMapId) -> Result<Option<Locked>, Error> {
    let row = sqlx::query!(
        r#"select currency, revision, deleted_at is not null as "deleted!" from seat_maps
           where seat_map_id = $1 for no key update"#,
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    row.map(|row| {
        Ok(Locked { currency: currency(&row.currency)?, revision: row.revision.into(), deleted: row.deleted })
    })
    .transpose()
}

/// Notes that seats of the map have changed.
pub async fn touch(conn: &mut PgConnection, id: SeatMapId) -> Result<(), Error> {
    sqlx::query!("update seat_maps set updated_at = now() where seat_map_id = $1", id.as_uuid())
        .execute(conn)
        .await?;
    Ok(())
}

/// Marks a seat map deleted.
pub async fn mark_deleted(conn: &mut PgConnection, id: SeatMapId) -> Result<(), Error> {
    sqlx::query!(
        "update seat_maps set deleted_at = now(), updated_at = now() where seat_map_id = $1 and deleted_at is null",
        id.as_uuid(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
