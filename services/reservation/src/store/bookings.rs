//! Table `bookings`: reading, locking and changing bookings that are there.

use std::collections::HashMap;

use postgres::StoredTime;
use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    Inconsistent,
    history::Actors,
    line::{LineRow, Stored},
    row::{Row, Seen},
};
use crate::{
    domain::{
        actor::Actor,
        booking::{Booking, State, StateName},
        ids::{Attempt, BookingId},
    },
    error::{Error, Failure},
};

/// Reads the bookings that the end of the statement, from `from` on, selects, each with the clock as it is read.
macro_rules! select {
    ($conn:expr, $from:literal, $($argument:expr),+) => {{
        let rows = sqlx::query_as!(
            Row,
            r#"select booking_id, customer_id, state, attempt, lines as "lines: Json<Stored>", currency,
                      total_minor, asked_ttl_ms, held_at as "held_at: StoredTime", hold_ttl_ms,
                      expires_at as "expires_at: StoredTime", draft_expires_at as "draft_expires_at: StoredTime",
                      window_given, payment_id, refund_id, expired_at as "expired_at: StoredTime", history_length,
                      created_at as "created_at: StoredTime", updated_at as "updated_at: StoredTime",
                      clock_timestamp() as "now!" "# + $from,
            $($argument),+
        );
        rows.fetch_all($conn).await?.into_iter().map(Seen::try_from)
    }};
}

/// Locks the bookings, in the order of their ids so that two batches never wait for each other, and reads the clock
/// under each lock; each for itself, as [`get`] reads them. Ids that are not there are left out.
pub async fn lock(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Result<Seen, Inconsistent>>, Error> {
    let locked = select!(
        conn,
        "from (select * from bookings where booking_id = any($1) order by booking_id for update) as locked",
        ids
    );
    Ok(locked.collect())
}

/// Reads bookings, in no order, each for itself: one whose row makes no sense is no one else's. Ids that are not there are
/// left out.
pub async fn get(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Result<Seen, Inconsistent>>, Error> {
    Ok(select!(conn, "from bookings where booking_id = any($1)", ids).collect())
}

/// Bookings by their ids, for a unit of work that many wait for. Logs what makes no sense.
#[must_use]
pub fn by_id(
    found: Vec<Result<Seen, Inconsistent>>,
    work: &'static str,
) -> HashMap<Uuid, Result<Seen, Failure>> {
    let by_id = |seen: Result<Seen, Inconsistent>| match seen {
        Ok(seen) => (seen.booking.id.get(), Ok(seen)),
        Err(wrong) => (wrong.booking_id, Err(Error::from(wrong).into_failure(work))),
    };
    found.into_iter().map(by_id).collect()
}

/// A page of everyone's bookings by id, descending, after `after`. Tombstones are nobody's bookings and left out. A row that
/// makes no sense fails the page: a list without it would be wrong, and nobody would know.
pub async fn list(
    conn: &mut PgConnection,
    state: Option<StateName>,
    after: Option<BookingId>,
    limit: i64,
) -> Result<Vec<Seen>, Error> {
    let page = select!(
        conn,
        "from bookings
         where booking_id <= $1 and ($2::text is null or state = $2) and customer_id <> ''
         order by booking_id desc
         limit $3",
        before(after),
        state.map(StateName::as_str),
        limit
    );
    Ok(page.collect::<Result<_, _>>()?)
}

/// A page of one customer's bookings by id, descending, after `after`. A statement of its own, for its own index. A row that
/// makes no sense fails the page.
pub async fn list_of_customer(
    conn: &mut PgConnection,
    customer_id: &str,
    state: Option<StateName>,
    after: Option<BookingId>,
    limit: i64,
) -> Result<Vec<Seen>, Error> {
    let page = select!(
        conn,
        "from bookings
         where customer_id = $1 and booking_id <= $2 and ($3::text is null or state = $3)
         order by booking_id desc
         limit $4",
        customer_id,
        before(after),
        state.map(StateName::as_str),
        limit
    );
    Ok(page.collect::<Result<_, _>>()?)
}

/// A page of all bookings from this id on, in the order of their ids, each for itself as [`get`] reads them.
pub async fn list_from(
    conn: &mut PgConnection,
    from: Uuid,
    limit: i64,
) -> Result<Vec<Result<Seen, Inconsistent>>, Error> {
    let page =
        select!(conn, "from bookings where booking_id >= $1 order by booking_id limit $2", from, limit);
    Ok(page.collect())
}

/// The greatest id that comes after `after` in descending order.
fn before(after: Option<BookingId>) -> Uuid {
    after.map_or(Uuid::max(), |id| Uuid::from_u128(id.get().as_u128().saturating_sub(1)))
}

/// Which bookings were refunded by these refunds: (refund, booking).
pub async fn find_refunds(conn: &mut PgConnection, refund_ids: &[Uuid]) -> Result<Vec<(Uuid, Uuid)>, Error> {
    let rows = sqlx::query!(
        r#"select refund_id as "refund_id!", booking_id from bookings where refund_id = any($1)"#,
        refund_ids
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.refund_id, row.booking_id)).collect())
}

/// A draft among others, in the order in which they run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbandonedDraft {
    /// When it ran out.
    pub expires_at: OffsetDateTime,
    /// Which.
    pub booking_id: BookingId,
}

/// Drafts whose limit has passed, the oldest first, behind this one. Limits that are no times are not among them.
pub async fn list_abandoned_drafts(
    conn: &mut PgConnection,
    after: Option<AbandonedDraft>,
    limit: i64,
) -> Result<Vec<AbandonedDraft>, Error> {
    let rows = sqlx::query!(
        r#"select booking_id, draft_expires_at as "expires_at!" from bookings
         where draft_expires_at <= (select clock_timestamp()) and draft_expires_at >= $1
           and (draft_expires_at, booking_id) > ($1, $2)
         order by draft_expires_at, booking_id
         limit $3"#,
        after.map_or(OffsetDateTime::UNIX_EPOCH, |draft| draft.expires_at),
        after.map_or(Uuid::nil(), |draft| draft.booking_id.get()),
        limit
    )
    .fetch_all(conn)
    .await?;
    let draft = |id: Uuid, expires_at| AbandonedDraft { expires_at, booking_id: id.into() };
    Ok(rows.into_iter().map(|row| draft(row.booking_id, row.expires_at)).collect())
}

/// The database's clock.
pub async fn clock(conn: &mut PgConnection) -> Result<OffsetDateTime, Error> {
    let now = sqlx::query_scalar!(r#"select clock_timestamp() as "now!""#).fetch_one(conn).await?;
    Ok(now)
}

/// The marks of unknown bookings, so that their late insert loses. Answers the ids that were not there.
pub async fn insert_tombstones(
    conn: &mut PgConnection,
    keys: &[(BookingId, Attempt, &Actor)],
) -> Result<Vec<Uuid>, Error> {
    let ids: Vec<Uuid> = keys.iter().map(|(id, ..)| id.get()).collect();
    let attempts: Vec<i32> = keys.iter().map(|(_, attempt, _)| attempt.get()).collect();
    let actors = Actors::of(keys.iter().map(|(.., actor)| *actor));
    let inserted = sqlx::query_scalar!(
        r#"with asked as (
               select * from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[])
               as k (booking_id, attempt, actor_subject, actor_role, method, request_id)
           ), marked as (
               insert into bookings (booking_id, customer_id, state, attempt, lines, expired_at, history_length,
                                     created_at, updated_at)
               select booking_id, '', 'EXPIRED', attempt, '[]', now(), 1, now(), now()
               from asked
               order by booking_id
               on conflict (booking_id) do nothing
               returning booking_id
           ), history as (
               insert into booking_history (booking_id, sequence, to_state, happened_at, actor_subject, actor_role,
                                            method, request_id)
               select booking_id, 1, 'EXPIRED', now(), actor_subject, actor_role, method, request_id
               from marked join asked using (booking_id)
           )
           select booking_id from marked"#,
        &ids,
        &attempts,
        &actors.subject as _,
        &actors.role as _,
        &actors.method as _,
        &actors.request_id as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(inserted)
}

/// Writes bookings that were changed under their locks. `before` is the length of the history that each had: a
/// guard beside the lock.
pub async fn update(conn: &mut PgConnection, changed: &[(&Booking, i32)]) -> Result<(), Error> {
    let mut columns = Columns::default();
    for (booking, before) in changed {
        columns.push(booking, *before);
    }
    let written = sqlx::query!(
        r#"update bookings b
           set state = u.state, attempt = u.attempt, lines = coalesce(u.lines, b.lines), currency = u.currency,
               total_minor = u.total_minor, held_at = u.held_at, hold_ttl_ms = u.hold_ttl_ms,
               expires_at = u.expires_at, draft_expires_at = u.draft_expires_at, window_given = u.window_given,
               payment_id = u.payment_id, refund_id = u.refund_id, expired_at = u.expired_at,
               history_length = u.history_length, updated_at = u.updated_at
           from unnest($1::uuid[], $2::int[], $3::text[], $4::int[], $5::jsonb[], $6::text[], $7::bigint[],
                       $8::timestamptz[], $9::bigint[], $10::timestamptz[], $11::timestamptz[], $12::bool[],
                       $13::uuid[], $14::uuid[], $15::timestamptz[], $16::int[], $17::timestamptz[])
                as u (booking_id, before, state, attempt, lines, currency, total_minor, held_at, hold_ttl_ms,
                      expires_at, draft_expires_at, window_given, payment_id, refund_id, expired_at,
                      history_length, updated_at)
           where b.booking_id = u.booking_id and b.history_length = u.before"#,
        &columns.booking_id,
        &columns.before,
        &columns.state as _,
        &columns.attempt,
        &columns.lines as _,
        &columns.currency as _,
        &columns.total_minor as _,
        &columns.held_at as _,
        &columns.hold_ttl_ms as _,
        &columns.expires_at as _,
        &columns.draft_expires_at as _,
        &columns.window_given,
        &columns.payment_id as _,
        &columns.refund_id as _,
        &columns.expired_at as _,
        &columns.history_length,
        &columns.updated_at,
    )
    .execute(conn)
    .await?
    .rows_affected();
    if written == changed.len() as u64 { Ok(()) } else { Err(Error::LostUpdate("bookings")) }
}

/// The changed columns of a batch of bookings, one vector each.
#[derive(Default)]
struct Columns {
    booking_id: Vec<Uuid>,
    before: Vec<i32>,
    state: Vec<&'static str>,
    attempt: Vec<i32>,
    lines: Vec<Option<Json<Vec<LineRow>>>>,
    currency: Vec<Option<String>>,
    total_minor: Vec<Option<i64>>,
    held_at: Vec<Option<OffsetDateTime>>,
    hold_ttl_ms: Vec<Option<i64>>,
    expires_at: Vec<Option<OffsetDateTime>>,
    draft_expires_at: Vec<Option<OffsetDateTime>>,
    window_given: Vec<bool>,
    payment_id: Vec<Option<Uuid>>,
    refund_id: Vec<Option<Uuid>>,
    expired_at: Vec<Option<OffsetDateTime>>,
    history_length: Vec<i32>,
    updated_at: Vec<OffsetDateTime>,
}

impl Columns {
    fn push(&mut self, booking: &Booking, before: i32) {
        let state = &booking.state;
        let hold = state.hold();
        let held_now = hold.is_some_and(|hold| hold.held_at == booking.updated_at);
        self.booking_id.push(booking.id.get());
        self.before.push(before);
        self.state.push(state.name().as_str());
        self.attempt.push(booking.attempt.get());
        // The lines change with the hold only, which gives them their prices.
        self.lines.push(held_now.then(|| super::line::to_json(&booking.lines)));
        self.currency.push(hold.map(|hold| hold.currency.clone()));
        self.total_minor.push(hold.map(|hold| hold.total_minor));
        self.held_at.push(hold.map(|hold| hold.held_at));
        self.hold_ttl_ms.push(hold.and_then(|hold| i64::try_from(hold.ttl.whole_milliseconds()).ok()));
        self.expires_at.push(hold.map(|hold| hold.deadline));
        self.draft_expires_at.push(match state {
            State::Initiated { deadline } => Some(*deadline),
            _ => None,
        });
        self.window_given.push(hold.is_some_and(|hold| hold.window_given));
        self.payment_id.push(match state {
            State::Confirmed { payment_id, .. } | State::Refunded { payment_id, .. } => {
                Some(payment_id.get())
            }
            _ => None,
        });
        self.refund_id.push(match state {
            State::Refunded { refund_id, .. } => Some(refund_id.get()),
            _ => None,
        });
        self.expired_at.push(match state {
            State::Expired { expired_at, .. } => Some(*expired_at),
            _ => None,
        });
        self.history_length.push(booking.history_length);
        self.updated_at.push(booking.updated_at);
    }
}
