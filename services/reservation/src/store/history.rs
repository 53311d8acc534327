//! Table `booking_history`: what happened to bookings, never changed.

use postgres::StoredTime;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Inconsistent, NO_TIME};
use crate::{
    domain::{actor::Actor, booking::StateName, command::Step, ids::BookingId},
    error::Error,
};

/// One step as it is stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Counted from 1.
    pub sequence: i32,
    /// The state before; none on the first entry.
    pub from: Option<StateName>,
    /// The state after.
    pub to: StateName,
    /// When.
    pub happened_at: OffsetDateTime,
    /// The deadline after the step.
    pub expires_at: Option<OffsetDateTime>,
    /// The payment or refund of the step.
    pub reference: Option<Uuid>,
    /// Who had it made.
    pub subject: Option<String>,
    /// What they are.
    pub role: Option<String>,
    /// By which call.
    pub method: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
}

/// One step to store.
#[derive(Debug)]
pub struct NewEntry {
    /// Whose.
    pub booking_id: BookingId,
    /// Counted from 1.
    pub sequence: i32,
    /// What.
    pub step: Step,
    /// When.
    pub at: OffsetDateTime,
    /// Who had it made.
    pub actor: Actor,
}

/// Who had steps made: the columns, one vector each.
pub(super) struct Actors<'a> {
    pub(super) subject: Vec<Option<&'a str>>,
    pub(super) role: Vec<Option<&'static str>>,
    pub(super) method: Vec<&'static str>,
    pub(super) request_id: Vec<Option<&'a str>>,
}

impl<'a> Actors<'a> {
    pub(super) fn of(actors: impl Iterator<Item = &'a Actor> + Clone) -> Self {
        Self {
            subject: actors.clone().map(|actor| actor.subject.as_deref()).collect(),
            role: actors.clone().map(|actor| actor.role).collect(),
            method: actors.clone().map(|actor| actor.method).collect(),
            request_id: actors.map(|actor| actor.request_id.as_deref()).collect(),
        }
    }
}

/// Stores steps.
pub async fn insert(conn: &mut PgConnection, entries: &[NewEntry]) -> Result<(), Error> {
    let booking_ids: Vec<Uuid> = entries.iter().map(|entry| entry.booking_id.get()).collect();
    let sequences: Vec<i32> = entries.iter().map(|entry| entry.sequence).collect();
    let from: Vec<&str> = entries.iter().map(|entry| entry.step.from.as_str()).collect();
    let to: Vec<&str> = entries.iter().map(|entry| entry.step.to.as_str()).collect();
    let at: Vec<OffsetDateTime> = entries.iter().map(|entry| entry.at).collect();
    let deadlines: Vec<Option<OffsetDateTime>> = entries.iter().map(|entry| entry.step.deadline).collect();
    let references: Vec<Option<Uuid>> = entries.iter().map(|entry| entry.step.reference).collect();
    let actors = Actors::of(entries.iter().map(|entry| &entry.actor));
    sqlx::query!(
        "insert into booking_history (booking_id, sequence, from_state, to_state, happened_at, expires_at,
                                      reference_id, actor_subject, actor_role, method, request_id)
         select * from unnest($1::uuid[], $2::int[], $3::text[], $4::text[], $5::timestamptz[],
                              $6::timestamptz[], $7::uuid[], $8::text[], $9::text[], $10::text[], $11::text[])",
        &booking_ids,
        &sequences,
        &from as _,
        &to as _,
        &at,
        &deadlines as _,
        &references as _,
        &actors.subject as _,
        &actors.role as _,
        &actors.method as _,
        &actors.request_id as _,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// A page of a booking's steps, the first one first, after `after`.
pub async fn list(
    conn: &mut PgConnection,
    booking_id: BookingId,
    after: i32,
    limit: i64,
) -> Result<Vec<Entry>, Error> {
    let rows = sqlx::query!(
        r#"select sequence, from_state, to_state, happened_at as "happened_at: StoredTime",
                  expires_at as "expires_at: StoredTime", reference_id, actor_subject, actor_role, method, request_id
           from booking_history
           where booking_id = $1 and sequence > $2
           order by sequence
           limit $3"#,
        booking_id.get(),
        after,
        limit
    )
    .fetch_all(conn)
    .await?;
    let wrong = |what| Inconsistent { booking_id: booking_id.get(), what };
    let name = |text: &str| StateName::parse(text).ok_or(wrong("unknown state in its history"));
    let time = |time: StoredTime| time.get().ok_or(wrong(NO_TIME));
    rows.into_iter()
        .map(|row| {
            Ok(Entry {
                sequence: row.sequence,
                from: row.from_state.as_deref().map(name).transpose()?,
                to: name(&row.to_state)?,
                happened_at: time(row.happened_at)?,
                expires_at: row.expires_at.map(time).transpose()?,
                reference: row.reference_id,
                subject: row.actor_subject,
                role: row.actor_role,
                method: row.method,
                request_id: row.request_id,
            })
        })
        .collect()
}
