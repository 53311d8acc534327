//! Table `outbox`, the reading side: promises are taken out by whoever keeps them. `promises.rs` writes them.

use postgres::StoredTime;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Inconsistent, NO_TIME};
use crate::{
    domain::{ids::Attempt, promise::Settlement},
    error::Error,
};

/// What a row promises; each has readers of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A timer for a lane.
    Timer,
    /// News for other services.
    Event,
    /// A verdict for the catalog.
    Settle,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Timer, Self::Event, Self::Settle];

    /// As it is written in SQL.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Event => "event",
            Self::Settle => "settle",
        }
    }
}

/// The most that a routing key may have (AMQP 0-9-1, section 4.2.5.3: a short string).
const MAX_ROUTING_KEY_BYTES: usize = 255;
/// More than any `traceparent` has (W3C Trace Context: 55 in version 00), less than spoils a message.
const MAX_TRACEPARENT_BYTES: usize = 128;

/// A row: a promise about many bookings. Element i of every array belongs to booking i.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its place in the order of promises.
    pub outbox_id: i64,
    /// Events: the routing key. Settlements: COMMIT or RELEASE.
    pub subject: String,
    /// The bookings.
    pub booking_ids: Vec<Uuid>,
    /// Their attempts (timers and settlements).
    pub attempts: Option<Vec<i32>>,
    /// Their customers (events).
    pub customer_ids: Option<Vec<String>>,
    /// Their deadlines (timers, and events of holds).
    pub deadlines: Option<Vec<StoredTime>>,
    /// The payments or refunds (events of those).
    pub reference_ids: Option<Vec<Uuid>>,
    /// The trace that the promise was made in.
    pub traceparent: Option<String>,
    /// When it was made, by the database's clock.
    pub created_at: StoredTime,
    /// The database's clock when it was taken.
    pub now: OffsetDateTime,
}

/// How much is taken at once.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    /// The most rows.
    pub rows: i64,
    /// No further row once those before it are about so many bookings.
    pub bookings: i64,
}

/// Takes the oldest rows of a kind out of the table, in their order, and leaves alone those that somebody else has in
/// hand. They are gone once the transaction commits, and back if it does not.
pub async fn take(conn: &mut PgConnection, kind: Kind, portion: Portion) -> Result<Vec<Row>, Error> {
    let mut rows = sqlx::query_as!(
        Row,
        r#"with locked as (
               select outbox_id, cardinality(booking_ids) as bookings
               from outbox
               where kind = $1
               order by outbox_id
               limit $2
               for update skip locked
           ), counted as (
               select outbox_id, sum(bookings) over (order by outbox_id) - bookings as bookings_before from locked
           )
           delete from outbox o using counted c where o.outbox_id = c.outbox_id and c.bookings_before < $3
           returning o.outbox_id, o.subject, o.booking_ids, o.attempts, o.customer_ids,
                     o.deadlines as "deadlines: Vec<StoredTime>", o.reference_ids, o.traceparent,
                     o.created_at as "created_at: StoredTime", clock_timestamp() as "now!""#,
        kind.as_str(),
        portion.rows,
        portion.bookings
    )
    .fetch_all(conn)
    .await?;
    rows.sort_unstable_by_key(|row| row.outbox_id);
    Ok(rows)
}

/// The oldest rows of a kind, in their order, whoever has them in hand.
pub async fn list(conn: &mut PgConnection, kind: Kind, limit: i64) -> Result<Vec<i64>, Error> {
    let ids = sqlx::query_scalar!(
        "select outbox_id from outbox where kind = $1 order by outbox_id limit $2",
        kind.as_str(),
        limit
    );
    Ok(ids.fetch_all(conn).await?)
}

/// The newest row of a kind, whoever has it in hand.
pub async fn newest(conn: &mut PgConnection, kind: Kind) -> Result<Option<i64>, Error> {
    let id = sqlx::query_scalar!(
        "select outbox_id from outbox where kind = $1 order by outbox_id desc limit 1",
        kind.as_str()
    );
    Ok(id.fetch_optional(conn).await?)
}

/// How much waits of one kind.
#[derive(Clone, Debug)]
pub struct Depth {
    /// The kind.
    pub kind: String,
    /// Rows, [`MAX_DEPTH`] at most.
    pub rows: i64,
    /// How long the oldest has waited, of those that say when they were made; 0 if there is none.
    pub oldest_age_seconds: f64,
}

/// The most rows of a kind that are counted.
pub const MAX_DEPTH: i64 = 10_000;

/// How much waits of each kind, whoever has it in hand. Reads no more than [`MAX_DEPTH`] rows of each.
pub async fn count(conn: &mut PgConnection) -> Result<Vec<Depth>, Error> {
    let kinds = Kind::ALL.map(Kind::as_str);
    let counted = sqlx::query_as!(
        Depth,
        r#"select kind as "kind!", count(o.created_at) as "rows!",
                  coalesce(extract(epoch from clock_timestamp()
                                   - min(o.created_at) filter (where isfinite(o.created_at))), 0)::float8 as "oldest_age_seconds!"
           from unnest($1::text[]) as kinds (kind)
                left join lateral (
                    select created_at from outbox where outbox.kind = kinds.kind order by outbox_id limit $2
                ) o on true
           group by kind"#,
        &kinds as _,
        MAX_DEPTH
    );
    Ok(counted.fetch_all(conn).await?)
}

/// As [`take`], this row alone; `None` if it has gone, or somebody else has it in hand.
pub async fn take_one(conn: &mut PgConnection, outbox_id: i64) -> Result<Option<Row>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"delete from outbox
           where outbox_id in (select outbox_id from outbox where outbox_id = $1 for update skip locked)
           returning outbox_id, subject, booking_ids, attempts, customer_ids,
                     deadlines as "deadlines: Vec<StoredTime>", reference_ids, traceparent,
                     created_at as "created_at: StoredTime", clock_timestamp() as "now!""#,
        outbox_id
    );
    Ok(row.fetch_optional(conn).await?)
}

impl Row {
    /// The holds that it is about.
    pub fn keys(&self) -> Result<Vec<(Uuid, Attempt)>, Error> {
        let attempts = self.attempts.as_deref().unwrap_or_default();
        if attempts.len() != self.booking_ids.len() {
            return Err(self.wrong("attempts do not match bookings"));
        }
        let attempt = |number| Attempt::try_from(number).map_err(|_| self.wrong("attempt below 1"));
        self.booking_ids.iter().zip(attempts).map(|(id, number)| Ok((*id, attempt(*number)?))).collect()
    }

    /// The holds with their deadlines.
    pub fn timers(&self) -> Result<Vec<(Uuid, Attempt, OffsetDateTime)>, Error> {
        let keys = self.keys()?;
        let deadlines = self.deadlines.as_deref().unwrap_or_default();
        if deadlines.len() != keys.len() {
            return Err(self.wrong("deadlines do not match bookings"));
        }
        let timer = |((id, attempt), deadline): ((Uuid, Attempt), &StoredTime)| {
            Ok((id, attempt, self.time(*deadline)?))
        };
        keys.into_iter().zip(deadlines).map(timer).collect()
    }

    /// When its events happened.
    pub fn made_at(&self) -> Result<OffsetDateTime, Error> {
        self.time(self.created_at)
    }

    /// The deadline of the booking in this place, if this row has any.
    pub fn deadline(&self, place: usize) -> Result<Option<OffsetDateTime>, Error> {
        let deadline = self.deadlines.as_ref().and_then(|deadlines| deadlines.get(place));
        deadline.map(|deadline| self.time(*deadline)).transpose()
    }

    fn time(&self, time: StoredTime) -> Result<OffsetDateTime, Error> {
        time.get().ok_or_else(|| self.wrong(NO_TIME))
    }

    /// The verdict on its holds.
    pub fn verdict(&self) -> Result<Settlement, Error> {
        match self.subject.as_str() {
            "COMMIT" => Ok(Settlement::Commit),
            "RELEASE" => Ok(Settlement::Release),
            _ => Err(self.wrong("neither COMMIT nor RELEASE")),
        }
    }

    /// The routing key of its events.
    pub fn routing_key(&self) -> Result<&str, Error> {
        // What AMQP 0-9-1 takes. Which keys there are is not for this reader to say: a newer writer may know more.
        let possible = !self.subject.is_empty() && self.subject.len() <= MAX_ROUTING_KEY_BYTES;
        if possible { Ok(&self.subject) } else { Err(self.wrong("its subject is no routing key")) }
    }

    /// The trace that it was made in, if that is one.
    #[must_use]
    pub fn trace(&self) -> Option<&str> {
        self.traceparent.as_deref().filter(|traceparent| traceparent.len() <= MAX_TRACEPARENT_BYTES)
    }

    fn wrong(&self, what: &'static str) -> Error {
        Inconsistent { booking_id: self.booking_ids.first().copied().unwrap_or_default(), what }.into()
    }
}
