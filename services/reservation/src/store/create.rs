//! The hot statement: new bookings with their history and everything they owe, in one round trip and one commit.

use sqlx::{PgConnection, types::Json};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{
    history::Actors,
    line::{self, LineRow},
};
use crate::{
    domain::{actor::Actor, command::Placed, ids::BookingId, line::Line},
    error::Error,
};

/// A booking to insert.
#[derive(Clone, Debug)]
pub struct New {
    /// Its id.
    pub id: BookingId,
    /// Its customer.
    pub customer_id: String,
    /// Its lines; priced when it is held.
    pub lines: Vec<Line>,
    /// The hold time that was asked for, in ms.
    pub asked_ttl_ms: Option<i64>,
    /// What the catalog placed for it, with the total in minor units; none: a draft.
    pub held: Option<(Placed, i64)>,
    /// Who has it made.
    pub actor: Actor,
}

/// When a booking was inserted.
#[derive(Clone, Copy, Debug)]
pub struct Inserted {
    /// Its id.
    pub booking_id: Uuid,
    /// The instant, by the database's clock; holds and drafts run from it.
    pub created_at: OffsetDateTime,
}

/// Inserts the bookings, HELD or INITIATED, with one timer row for each hold time and one event row, all stamped with
/// one instant. In the order of their ids, so that two batches never wait for each other. Ids that are there already
/// are left as they are, and out of the answer.
pub async fn insert(
    conn: &mut PgConnection,
    new: &[&New],
    draft_ttl_ms: i64,
    traceparent: Option<&str>,
) -> Result<Vec<Inserted>, Error> {
    let mut sorted = new.to_vec();
    sorted.sort_unstable_by_key(|new| new.id);
    let columns = Columns::of(&sorted);
    let actors = Actors::of(sorted.iter().map(|new| &new.actor));
    let inserted = sqlx::query_as!(
        Inserted,
        r#"with asked as (
               select * from unnest($1::uuid[], $2::text[], $3::jsonb[], $4::bigint[], $5::text[], $6::bigint[],
                                    $7::bigint[], $10::text[], $11::text[], $12::text[], $13::text[])
               as a (booking_id, customer_id, lines, asked_ttl_ms, currency, total_minor, hold_ttl_ms,
                     actor_subject, actor_role, method, request_id)
           ), created as (
               insert into bookings (booking_id, customer_id, state, attempt, lines, asked_ttl_ms, currency,
                                     total_minor, held_at, hold_ttl_ms, expires_at, draft_expires_at,
                                     history_length, created_at, updated_at)
               select booking_id, customer_id, case when hold_ttl_ms is null then 'INITIATED' else 'HELD' end, 1,
                      lines, asked_ttl_ms, currency, total_minor, case when hold_ttl_ms is not null then now() end,
                      hold_ttl_ms, now() + hold_ttl_ms * interval '1 millisecond',
                      case when hold_ttl_ms is null then now() + $8::bigint * interval '1 millisecond' end,
                      1, now(), now()
               from asked
               on conflict (booking_id) do nothing
               returning booking_id, customer_id, state, hold_ttl_ms, expires_at, draft_expires_at, created_at
           ), history as (
               insert into booking_history (booking_id, sequence, to_state, happened_at, expires_at,
                                            actor_subject, actor_role, method, request_id)
               select booking_id, 1, state, created_at, coalesce(expires_at, draft_expires_at),
                      actor_subject, actor_role, method, request_id
               from created join asked using (booking_id)
           ), owed as (
               insert into outbox (kind, subject, booking_ids, attempts, customer_ids, deadlines, traceparent)
               select 'timer', '', array_agg(booking_id), array_agg(1), null::text[], array_agg(expires_at),
                      $9::text
               from created where state = 'HELD' group by hold_ttl_ms
               union all
               select 'event', 'booking.held', array_agg(booking_id), null::int[], array_agg(customer_id),
                      array_agg(expires_at), $9::text
               from created where state = 'HELD' having count(*) > 0
           )
           select booking_id as "booking_id!", created_at as "created_at!" from created"#,
        &columns.booking_id,
        &columns.customer_id as _,
        &columns.lines as _,
        &columns.asked_ttl_ms as _,
        &columns.currency as _,
        &columns.total_minor as _,
        &columns.hold_ttl_ms as _,
        draft_ttl_ms,
        traceparent,
        &actors.subject as _,
        &actors.role as _,
        &actors.method as _,
        &actors.request_id as _,
    )
    .fetch_all(conn)
    .await?;
    Ok(inserted)
}

/// The columns of a batch of new bookings, one vector each.
struct Columns<'a> {
    booking_id: Vec<Uuid>,
    customer_id: Vec<&'a str>,
    lines: Vec<Json<Vec<LineRow>>>,
    asked_ttl_ms: Vec<Option<i64>>,
    currency: Vec<Option<&'a str>>,
    total_minor: Vec<Option<i64>>,
    hold_ttl_ms: Vec<Option<i64>>,
}

impl<'a> Columns<'a> {
    fn of(sorted: &[&'a New]) -> Self {
        let held = |new: &&'a New| new.held.as_ref();
        Self {
            booking_id: sorted.iter().map(|new| new.id.get()).collect(),
            customer_id: sorted.iter().map(|new| new.customer_id.as_str()).collect(),
            lines: sorted.iter().map(|new| line::to_json(&new.lines)).collect(),
            asked_ttl_ms: sorted.iter().map(|new| new.asked_ttl_ms).collect(),
            currency: sorted
                .iter()
                .map(|new| held(new).map(|(placed, _)| placed.currency.as_str()))
                .collect(),
            total_minor: sorted.iter().map(|new| held(new).map(|(_, total)| *total)).collect(),
            hold_ttl_ms: sorted
                .iter()
                .map(|new| held(new).and_then(|(placed, _)| placed.ttl.whole_milliseconds().try_into().ok()))
                .collect(),
        }
    }
}
