//! What an audit reads: the rules of bookings as queries that answer what breaks them, and what holds are compared with.
//!
//! Nothing here goes through the domain: a row that makes no sense is a finding, not an error. The caller owns the
//! snapshot. A page of bookings is a range of ids, so that rows about bookings that do not exist are seen as well.

use postgres::StoredTime;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::error::Error;

/// What breaks a rule.
#[derive(Debug)]
pub struct Finding {
    /// The booking.
    pub booking_id: Uuid,
    /// The step of its history.
    pub sequence: Option<i32>,
    /// The payment.
    pub payment_id: Option<Uuid>,
    /// What is wrong, for people.
    pub description: String,
}

/// Ids of bookings, both ends included.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    /// The first one.
    pub from: Uuid,
    /// The last one.
    pub to: Uuid,
}

/// The end of a page of bookings: the last one, and how many there are to it. None: there are no more.
pub async fn bookings_to(
    conn: &mut PgConnection,
    from: Uuid,
    limit: i64,
) -> Result<Option<(Uuid, i64)>, Error> {
    let row = sqlx::query!(
        r#"select booking_id, count(*) over () as "size!"
           from (select booking_id from bookings where booking_id >= $1 order by booking_id limit $2) page
           order by booking_id desc
           limit 1"#,
        from,
        limit
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| (row.booking_id, row.size)))
}

/// Steps that the table of transitions does not have.
pub async fn illegal_steps(conn: &mut PgConnection, range: Range, limit: i64) -> Result<Vec<Finding>, Error> {
    Ok(sqlx::query_as!(
        Finding,
        r#"select booking_id, sequence as "sequence?", null::uuid as payment_id,
                  format('booking %s went from %s to %s in step %s', booking_id, coalesce(from_state, 'nothing'),
                         to_state, sequence) as "description!"
           from booking_history
           where booking_id between $1 and $2 and (coalesce(from_state, '-'), to_state) not in (
               ('-', 'INITIATED'), ('-', 'HELD'), ('-', 'EXPIRED'), ('INITIATED', 'HELD'), ('HELD', 'HELD'),
               ('HELD', 'PAYMENT_PENDING'), ('PAYMENT_PENDING', 'HELD'), ('PAYMENT_PENDING', 'CONFIRMED'),
               ('INITIATED', 'CANCELLED'), ('HELD', 'CANCELLED'), ('PAYMENT_PENDING', 'CANCELLED'),
               ('INITIATED', 'EXPIRED'), ('HELD', 'EXPIRED'), ('PAYMENT_PENDING', 'EXPIRED'),
               ('CONFIRMED', 'REFUNDED'))
           limit $3"#,
        range.from,
        range.to,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// Steps that do not begin where the one before ended, or are missing.
pub async fn broken_chains(conn: &mut PgConnection, range: Range, limit: i64) -> Result<Vec<Finding>, Error> {
    Ok(sqlx::query_as!(
        Finding,
        r#"select booking_id as "booking_id!", sequence as "sequence?", null::uuid as payment_id,
                  format('step %s of booking %s begins at %s; before it stand %s steps, the last one to %s', sequence,
                         booking_id, coalesce(from_state, 'nothing'), place - 1, coalesce(before, 'nothing'))
                      as "description!"
           from (select booking_id, sequence, from_state, lag(to_state) over steps as before,
                        row_number() over steps as place
                 from booking_history
                 where booking_id between $1 and $2
                 window steps as (partition by booking_id order by sequence)) h
           where from_state is distinct from before or sequence <> place
           limit $3"#,
        range.from,
        range.to,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// Bookings that are not where their history ends, and histories of no booking.
pub async fn wrong_ends(conn: &mut PgConnection, range: Range, limit: i64) -> Result<Vec<Finding>, Error> {
    Ok(sqlx::query_as!(
        Finding,
        r#"select coalesce(b.booking_id, h.booking_id) as "booking_id!", h.sequence as "sequence?",
                  null::uuid as payment_id,
                  format('booking %s is %s after %s steps; its history ends with %s after %s',
                         coalesce(b.booking_id, h.booking_id), coalesce(b.state, 'not there'),
                         coalesce(b.history_length, 0), coalesce(h.to_state, 'nothing'), coalesce(h.sequence, 0))
                      as "description!"
           from (select booking_id, state, history_length from bookings where booking_id between $1 and $2) b
           full join (select distinct on (booking_id) booking_id, to_state, sequence
                      from booking_history
                      where booking_id between $1 and $2
                      order by booking_id, sequence desc) h on h.booking_id = b.booking_id
           where (b.state, b.history_length) is distinct from (h.to_state, h.sequence)
           limit $3"#,
        range.from,
        range.to,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// Steps to CONFIRMED at or after the deadline, and to EXPIRED before it. A draft's deadline is in the step before.
pub async fn untimely(conn: &mut PgConnection, range: Range, limit: i64) -> Result<Vec<Finding>, Error> {
    Ok(sqlx::query_as!(
        Finding,
        r#"select h.booking_id, h.sequence as "sequence?", null::uuid as payment_id,
                  format('booking %s became %s at %s; its deadline was %s', h.booking_id, h.to_state, h.happened_at,
                         least(h.expires_at, b.expires_at, d.expires_at)) as "description!"
           from booking_history h
           left join bookings b using (booking_id)
           left join booking_history d
                  on d.booking_id = h.booking_id and d.sequence = h.sequence - 1
                 and h.from_state = 'INITIATED' and h.to_state = 'EXPIRED'
           where h.booking_id between $1 and $2
             and case h.to_state
                     when 'CONFIRMED' then h.happened_at >= h.expires_at or h.happened_at >= b.expires_at
                                           or h.expires_at is null
                     when 'EXPIRED' then h.happened_at < h.expires_at or h.happened_at < b.expires_at
                                         or h.happened_at < d.expires_at
                     else false end
           limit $3"#,
        range.from,
        range.to,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// What is paid without the payment that is said to have paid for it, and accepted payments that paid for nothing.
pub async fn wrong_payments(
    conn: &mut PgConnection,
    range: Range,
    limit: i64,
) -> Result<Vec<Finding>, Error> {
    Ok(sqlx::query_as!(
        Finding,
        r#"select coalesce(b.booking_id, p.booking_id) as "booking_id!", null::int as sequence,
                  coalesce(b.payment_id, p.payment_id) as payment_id,
                  format('booking %s is %s by payment %s; the payment that was accepted for it is %s',
                         coalesce(b.booking_id, p.booking_id), coalesce(b.state, 'not paid'),
                         coalesce(b.payment_id::text, 'none'), coalesce(p.payment_id::text, 'none'))
                      as "description!"
           from (select booking_id, state, payment_id from bookings
                 where booking_id between $1 and $2 and state in ('CONFIRMED', 'REFUNDED')) b
           full join (select booking_id, payment_id from payments
                      where booking_id between $1 and $2 and outcome = 'ACCEPTED') p on p.booking_id = b.booking_id
           where b.payment_id is distinct from p.payment_id
              or b.booking_id is distinct from p.booking_id
           limit $3"#,
        range.from,
        range.to,
        limit
    )
    .fetch_all(conn)
    .await?)
}

/// The holds that bookings have: HELD, PAYMENT_PENDING and CONFIRMED ones.
pub async fn claims(conn: &mut PgConnection, range: Range) -> Result<Vec<(Uuid, i32)>, Error> {
    let rows = sqlx::query!(
        "select booking_id, attempt from bookings
         where booking_id between $1 and $2 and state in ('HELD', 'PAYMENT_PENDING', 'CONFIRMED')",
        range.from,
        range.to
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.booking_id, row.attempt)).collect())
}

/// A booking as an audit compares holds with it.
#[derive(Debug)]
pub struct AuditRow {
    /// Its id.
    pub booking_id: Uuid,
    /// Its state, whatever it is.
    pub state: String,
    /// The attempt whose hold it has.
    pub attempt: i32,
    /// When its units were held; none while they never were.
    pub held_at: Option<StoredTime>,
    /// The deadline that it has or had.
    pub expires_at: Option<StoredTime>,
    /// Units on its lines; a seat is one.
    pub units: i64,
    /// What they cost together, once held.
    pub total_minor: Option<i64>,
    /// The digest of its lines, as the catalog computes it of a hold's.
    pub lines_digest: Vec<u8>,
    /// When its history came to where it is, if it was decided.
    pub decided_at: Option<StoredTime>,
}

/// The bookings with these ids.
pub async fn get(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<AuditRow>, Error> {
    Ok(sqlx::query_as!(
        AuditRow,
        r#"select booking_id, state, attempt, held_at as "held_at: StoredTime", expires_at as "expires_at: StoredTime",
                  t.units as "units!", total_minor,
                  t.lines_digest as "lines_digest!",
                  case when state in ('CONFIRMED', 'REFUNDED', 'CANCELLED', 'EXPIRED') then
                      (select h.happened_at from booking_history h where h.booking_id = b.booking_id
                       order by h.sequence desc limit 1) end as "decided_at: StoredTime"
           from bookings b
           cross join lateral (
               select coalesce(sum(coalesce(l.quantity, 1)), 0)::bigint as units,
                      sha256(convert_to(coalesce(string_agg(i.item, chr(10) order by i.item collate "C"), ''),
                                        'UTF8')) as lines_digest
               from jsonb_to_recordset(b.lines)
                    as l (product_id uuid, seat_map_id uuid, label text, quantity bigint, price_minor bigint)
               cross join lateral (select concat_ws('/', l.product_id, l.seat_map_id, l.label,
                                                    coalesce(l.quantity, 1), l.price_minor) as item) i) t
           where booking_id = any($1)"#,
        ids
    )
    .fetch_all(conn)
    .await?)
}

/// Since when verdicts on holds of these bookings have been waiting in the outbox, or parked, by (booking, attempt).
pub async fn waiting_verdicts(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<((Uuid, i32), OffsetDateTime)>, Error> {
    let rows = sqlx::query!(
        r#"select k.booking_id as "booking_id!", k.attempt as "attempt!", min(o.created_at) as "since!: StoredTime"
           from (select kind, booking_ids, attempts, created_at from outbox
                 union all
                 select kind, booking_ids, attempts, created_at from outbox_parked) o
           cross join lateral unnest(o.booking_ids, o.attempts) as k (booking_id, attempt)
           where o.kind = 'settle' and k.booking_id = any($1) and k.attempt is not null
           group by k.booking_id, k.attempt"#,
        ids
    )
    .fetch_all(conn)
    .await?;
    // Who knows no time has been waiting for too long.
    let since = |since: StoredTime| since.get().unwrap_or(OffsetDateTime::UNIX_EPOCH);
    Ok(rows.into_iter().map(|row| ((row.booking_id, row.attempt), since(row.since))).collect())
}
