//! Table `outbox_parked`: promises that were refused on their own, out of the way of those behind them.
//!
//! Nothing here reads what a row says, only how many bookings it is about: it may be what cannot be read.

use std::time::Duration;

use sqlx::PgConnection;

use super::outbox::Kind;
use crate::error::Error;

/// The most rows that go back at once: no more than one pass of the relay takes, so that fresh promises have their turn.
pub const RETURNED_AT_ONCE: u64 = 64;

/// Locks a row of the outbox, and answers about how many bookings it is; `None` if it has gone, or somebody else has it.
pub async fn lock(conn: &mut PgConnection, outbox_id: i64) -> Result<Option<usize>, Error> {
    let bookings = sqlx::query_scalar!(
        r#"select cardinality(booking_ids) as "bookings!" from outbox where outbox_id = $1 for update skip locked"#,
        outbox_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(bookings.map(|bookings| usize::try_from(bookings).unwrap_or_default()))
}

/// Makes two rows out of one: its first `at` bookings, and the rest.
pub async fn split(conn: &mut PgConnection, outbox_id: i64, at: usize) -> Result<(), Error> {
    sqlx::query!(
        "insert into outbox (kind, subject, booking_ids, attempts, customer_ids, deadlines, reference_ids, traceparent,
                             created_at)
         select kind, subject, booking_ids[f:t], attempts[f:t], customer_ids[f:t], deadlines[f:t], reference_ids[f:t],
                traceparent, created_at
         from outbox cross join lateral (values (1, $2::int), ($2::int + 1, cardinality(booking_ids))) as part (f, t)
         where outbox_id = $1
         order by f",
        outbox_id,
        i32::try_from(at).unwrap_or(i32::MAX)
    )
    .execute(&mut *conn)
    .await?;
    delete(conn, outbox_id).await
}

/// Puts a row aside.
pub async fn park(conn: &mut PgConnection, outbox_id: i64, failure: &str) -> Result<(), Error> {
    sqlx::query!(
        "insert into outbox_parked (outbox_id, kind, subject, booking_ids, attempts, customer_ids, deadlines,
                                    reference_ids, traceparent, created_at, failure)
         select outbox_id, kind, subject, booking_ids, attempts, customer_ids, deadlines, reference_ids, traceparent,
                created_at, $2
         from outbox where outbox_id = $1",
        outbox_id,
        failure
    )
    .execute(&mut *conn)
    .await?;
    delete(conn, outbox_id).await
}

async fn delete(conn: &mut PgConnection, outbox_id: i64) -> Result<(), Error> {
    sqlx::query!("delete from outbox where outbox_id = $1", outbox_id).execute(conn).await?;
    Ok(())
}

/// Puts rows that have been parked for so long back into the outbox, under new ids, behind what waits there: those parked
/// first, at most [`RETURNED_AT_ONCE`]. Answers how many. Nobody has seen their old ids: what was parked was never sent.
///
/// A COMMIT that was parked may so come after the RELEASE of the same hold (a refund's). That is harmless: settling is
/// monotone, and the catalog leaves a hold RELEASED.
pub async fn give_back(conn: &mut PgConnection, kind: Kind, parked_for: Duration) -> Result<u64, Error> {
    let done = sqlx::query!(
        "with rested as materialized (
             select outbox_id from outbox_parked
             where kind = $1 and parked_at <= clock_timestamp() - make_interval(secs => $2)
             order by parked_at, outbox_id
             limit $3
             for update skip locked
         ), back as (
             delete from outbox_parked p using rested r where p.outbox_id = r.outbox_id returning p.*
         )
         insert into outbox (kind, subject, booking_ids, attempts, customer_ids, deadlines, reference_ids, traceparent,
                             created_at)
         select kind, subject, booking_ids, attempts, customer_ids, deadlines, reference_ids, traceparent, created_at
         from back
         order by outbox_id",
        kind.as_str(),
        parked_for.as_secs_f64(),
        RETURNED_AT_ONCE.cast_signed()
    )
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// How many bookings parked rows are about.
pub async fn count(conn: &mut PgConnection, kind: Kind) -> Result<i64, Error> {
    let bookings = sqlx::query_scalar!(
        r#"select coalesce(sum(cardinality(booking_ids)), 0)::bigint as "bookings!" from outbox_parked where kind = $1"#,
        kind.as_str()
    )
    .fetch_one(conn)
    .await?;
    Ok(bookings)
}
