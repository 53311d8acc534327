//! What an audit reads: the catalog's rules as queries that answer what breaks them, and pages of holds.
//!
//! A page is cut by `order by` and `limit`: of a range of two row comparisons the planner makes a scan of the table.
//! Nothing here goes through the domain: a row that makes no sense is a finding, not an error. The caller owns the snapshot.

use postgres::StoredTime;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;

/// A product whose counts are not what its holds say, or one that only the holds know.
#[derive(Debug)]
pub struct WrongCounts {
    /// The product.
    pub product_id: Uuid,
    /// What its row says: on hand, held, sold; none without a row.
    pub row: Option<(i64, i64, i64)>,
    /// Units on lines of ACTIVE holds.
    pub in_active: i64,
    /// Units on lines of COMMITTED holds.
    pub in_committed: i64,
}

/// Products whose counts are not the sums of their holds, or beyond what exists. One scan of all holds.
pub async fn wrong_counts(conn: &mut PgConnection, limit: i64) -> Result<Vec<WrongCounts>, Error> {
    let rows = sqlx::query!(
        r#"select coalesce(p.product_id, h.product_id) as "product_id!", p.on_hand as "on_hand?",
                  p.held as "held?", p.sold as "sold?", coalesce(h.held, 0)::bigint as "in_active!",
                  coalesce(h.sold, 0)::bigint as "in_committed!"
           from products p
           full join (select l.product_id, sum(l.quantity) filter (where h.state = 'ACTIVE') as held,
                             sum(l.quantity) filter (where h.state = 'COMMITTED') as sold
                      from holds h
                      cross join lateral jsonb_to_recordset(h.lines) as l (product_id uuid, quantity bigint)
                      where l.product_id is not null and h.state in ('ACTIVE', 'COMMITTED')
                      group by l.product_id) h using (product_id)
           where p.product_id is null or p.held <> coalesce(h.held, 0) or p.sold <> coalesce(h.sold, 0)
              or p.held + p.sold > p.on_hand or p.held < 0 or p.sold < 0
           limit $1"#,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| WrongCounts {
            product_id: row.product_id,
            row: row.on_hand.zip(row.held).zip(row.sold).map(|((on_hand, held), sold)| (on_hand, held, sold)),
            in_active: row.in_active,
            in_committed: row.in_committed,
        })
        .collect())
}

/// A count of what a customer has that is not what their holds say.
#[derive(Debug)]
pub struct WrongCustomerCount {
    /// Whose.
    pub customer_id: String,
    /// Of what.
    pub counted: String,
    /// Which product or seat map; nil for open holds.
    pub item_id: Uuid,
    /// What their row says; none without a row.
    pub row: Option<i64>,
    /// What their holds have counted and not given back.
    pub in_holds: i64,
}

/// Counts of what customers have that are not the sums of what their holds have counted. One scan of all holds.
pub async fn wrong_customer_counts(
    conn: &mut PgConnection,
    limit: i64,
) -> Result<Vec<WrongCustomerCount>, Error> {
    let rows = sqlx::query_as!(
        WrongCustomerCount,
        r#"with parts as materialized (
               select h.customer_id, 'OPEN_HOLDS' as counted, '00000000-0000-0000-0000-000000000000'::uuid as item_id,
                      1::bigint as taken
               from holds h
               where h.state = 'ACTIVE' and h.customer_id is not null and h.counts_open
               union all
               select h.customer_id, case when l.product_id is null then 'SEAT_MAP' else 'PRODUCT' end,
                      coalesce(l.product_id, l.seat_map_id), coalesce(l.quantity, 1)
               from holds h
               cross join lateral jsonb_to_recordset(h.lines)
                          as l (product_id uuid, seat_map_id uuid, quantity bigint, counts boolean)
               where h.state in ('ACTIVE', 'COMMITTED') and h.customer_id is not null and l.counts
                 and coalesce(l.product_id, l.seat_map_id) is not null
           ), sums as (
               select customer_id, counted, item_id, sum(taken)::bigint as taken
               from parts
               group by customer_id, counted, item_id
               having sum(taken) > 0
           )
           select coalesce(c.customer_id, s.customer_id) as "customer_id!", coalesce(c.counted, s.counted) as "counted!",
                  coalesce(c.item_id, s.item_id) as "item_id!", c.taken as "row?", coalesce(s.taken, 0) as "in_holds!"
           from customer_counts c
           full join sums s on s.customer_id = c.customer_id and s.counted = c.counted and s.item_id = c.item_id
           where c.taken is distinct from s.taken
           limit $1"#,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// How many products there are.
pub async fn count_products(conn: &mut PgConnection) -> Result<i64, Error> {
    Ok(sqlx::query_scalar!(r#"select count(*) as "count!" from products"#).fetch_one(conn).await?)
}

/// The end of a page of seats after one: the last seat, and how many there are to it. None: there are no more.
pub async fn seats_to(
    conn: &mut PgConnection,
    after: (Uuid, &str),
    limit: i64,
) -> Result<Option<((Uuid, String), i64)>, Error> {
    let row = sqlx::query!(
        r#"select seat_map_id, label, count(*) over () as "size!"
           from (select seat_map_id, label from seats where (seat_map_id, label) > ($1, $2)
                 order by seat_map_id, label limit $3) page
           order by seat_map_id desc, label desc
           limit 1"#,
        after.0,
        after.1,
        limit
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| ((row.seat_map_id, row.label), row.size)))
}

/// A seat and a hold that do not agree.
#[derive(Debug)]
pub struct WrongSeat {
    /// The map.
    pub seat_map_id: Uuid,
    /// The seat.
    pub label: String,
    /// The seat's state; none without a row.
    pub state: Option<String>,
    /// The hold that the seat names.
    pub named: Option<(Uuid, i32)>,
    /// The hold that it was compared with, and its state.
    pub hold: Option<(Uuid, i32, String)>,
}

/// Of a page of seats after one: those that name a hold which does not have them in the state that they say, and those that
/// are on sale and name one.
pub async fn wrong_seats(
    conn: &mut PgConnection,
    after: (Uuid, &str),
    limit: i64,
) -> Result<Vec<WrongSeat>, Error> {
    let rows = sqlx::query!(
        r#"select s.seat_map_id as "seat_map_id!", s.label as "label!", s.state as "state!",
                  s.booking_id as "booking_id?", s.attempt as "attempt?", h.state as "hold_state?"
           from (select * from seats where (seat_map_id, label) > ($1, $2)
                 order by seat_map_id, label limit $3) s
           left join holds h
                  on h.booking_id = s.booking_id and h.attempt = s.attempt
                 and h.lines @> jsonb_build_array(jsonb_build_object('seat_map_id', s.seat_map_id,
                                                                     'label', s.label))
           where case s.state when 'HELD' then h.state is distinct from 'ACTIVE'
                              when 'SOLD' then h.state is distinct from 'COMMITTED'
                              else s.booking_id is not null or s.state not in ('FREE', 'BLOCKED') end"#,
        after.0,
        after.1,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let named = row.booking_id.zip(row.attempt);
            WrongSeat {
                seat_map_id: row.seat_map_id,
                label: row.label,
                state: Some(row.state),
                named,
                hold: named.zip(row.hold_state).map(|((id, attempt), state)| (id, attempt, state)),
            }
        })
        .collect())
}

/// Of a page of holds after one: the seats on lines of open ones that do not say so.
pub async fn unclaimed_seats(
    conn: &mut PgConnection,
    after: (Uuid, i32),
    holds: i64,
    limit: i64,
) -> Result<Vec<WrongSeat>, Error> {
    let rows = sqlx::query!(
        r#"select l.seat_map_id as "seat_map_id!", l.label as "label!", h.booking_id as "booking_id!",
                  h.attempt as "attempt!", h.state as "state!", s.state as "seat_state?", s.booking_id as "seat_booking_id?", s.attempt as "seat_attempt?"
           from (select * from holds where (booking_id, attempt) > ($1, $2)
                 order by booking_id, attempt limit $3) h
           cross join lateral jsonb_to_recordset(h.lines) as l (seat_map_id uuid, label text)
           left join seats s on s.seat_map_id = l.seat_map_id and s.label = l.label
           where h.state in ('ACTIVE', 'COMMITTED') and l.seat_map_id is not null and l.label is not null
             and (s.state, s.booking_id, s.attempt) is distinct from
                 (case h.state when 'ACTIVE' then 'HELD' else 'SOLD' end, h.booking_id, h.attempt)
           limit $4"#,
        after.0,
        after.1,
        holds,
        limit
    )
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| WrongSeat {
            seat_map_id: row.seat_map_id,
            label: row.label,
            state: row.seat_state,
            named: row.seat_booking_id.zip(row.seat_attempt),
            hold: Some((row.booking_id, row.attempt, row.state)),
        })
        .collect())
}

/// A hold as an audit sees it.
#[derive(Debug)]
pub struct AuditRow {
    /// Whose.
    pub booking_id: Uuid,
    /// Which of its attempts.
    pub attempt: i32,
    /// Its state, whatever it is.
    pub state: String,
    /// When it was settled last.
    pub settled_at: Option<StoredTime>,
    /// When the sweep is to ask for its verdict.
    pub review_at: Option<StoredTime>,
    /// When its time is up if no booking has it, whatever its review time says: that decides nothing.
    pub due_at: StoredTime,
    /// Units on its lines; a seat is one.
    pub units: i64,
    /// Quantity times price, over its lines.
    pub total_minor: i64,
    /// The digest of its lines, as reservation computes it of a booking's.
    pub lines_digest: Vec<u8>,
    /// The catalog's clock.
    pub now: OffsetDateTime,
}

/// Reads holds from `$from` on, with the sums of their lines.
macro_rules! select {
    ($conn:expr, $from:literal, $($argument:expr),+) => {
        Ok(sqlx::query_as!(
            AuditRow,
            r#"select h.booking_id, h.attempt, h.state, h.settled_at as "settled_at: StoredTime",
                      h.review_at as "review_at: StoredTime",
                      h.created_at + h.hold_ttl_ms * interval '1 millisecond' as "due_at!: StoredTime", t.units as "units!",
                      t.total_minor as "total_minor!", t.lines_digest as "lines_digest!",
                      clock_timestamp() as "now!" "# + $from + r#"
               cross join lateral (
                   select coalesce(sum(coalesce(l.quantity, 1)), 0)::bigint as units,
                          coalesce(sum(coalesce(l.quantity, 1) * l.price_minor), 0)::bigint as total_minor,
                          sha256(convert_to(coalesce(string_agg(i.item, chr(10) order by i.item collate "C"), ''),
                                            'UTF8')) as lines_digest
                   from jsonb_to_recordset(h.lines)
                        as l (product_id uuid, seat_map_id uuid, label text, quantity bigint, price_minor bigint)
                   cross join lateral (select concat_ws('/', l.product_id, l.seat_map_id, l.label,
                                                        coalesce(l.quantity, 1), l.price_minor) as item) i) t
               order by h.booking_id, h.attempt"#,
            $($argument),+
        )
        .fetch_all($conn)
        .await?)
    };
}

/// A page of holds in the order of their keys, after one.
pub async fn page(conn: &mut PgConnection, after: (Uuid, i32), limit: i64) -> Result<Vec<AuditRow>, Error> {
    select!(
        conn,
        "from (select * from holds where (booking_id, attempt) > ($1, $2)
               order by booking_id, attempt limit $3) h",
        after.0,
        after.1,
        limit
    )
}

/// The holds that are there under these keys.
pub async fn get(conn: &mut PgConnection, ids: &[Uuid], attempts: &[i32]) -> Result<Vec<AuditRow>, Error> {
    select!(
        conn,
        "from (select h.* from unnest($1::uuid[], $2::int[]) as k (booking_id, attempt)
               join holds h on h.booking_id = k.booking_id and h.attempt = k.attempt) h",
        ids,
        attempts
    )
}

/// Those of the keys under which there is no hold.
pub async fn missing(
    conn: &mut PgConnection,
    ids: &[Uuid],
    attempts: &[i32],
) -> Result<Vec<(Uuid, i32)>, Error> {
    let rows = sqlx::query!(
        r#"select k.booking_id as "booking_id!", k.attempt as "attempt!"
           from unnest($1::uuid[], $2::int[]) as k (booking_id, attempt)
           where not exists (select from holds h where h.booking_id = k.booking_id and h.attempt = k.attempt)"#,
        ids,
        attempts
    )
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.booking_id, row.attempt)).collect())
}
