//! The unit of work behind new bookings: one statement, one commit, for as many as wait.

use std::collections::HashMap;

use failpoint::{Step, reach};
use postgres::UnitOfWork;
use sqlx::{PgConnection, PgPool};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    domain::{
        booking::{Booking, Hold, State, StateName},
        ids::Attempt,
    },
    error::{Error, Failure},
    metrics::Done,
    relay::Wake,
    store::{
        bookings,
        create::{self, New},
        row::Seen,
    },
};

/// What came of a new booking.
#[derive(Clone, Debug)]
pub enum Created {
    /// It was inserted now.
    New(Box<Seen>),
    /// The id of the second was there already, with this booking; nothing was changed.
    Existing(Box<Seen>, Box<New>),
}

/// Inserts the bookings. An id that comes twice is inserted once. One that is there and makes no sense fails those only who
/// asked for it.
pub async fn create(
    pool: &PgPool,
    draft_ttl: Duration,
    wake: &Wake,
    new: Vec<New>,
) -> Result<Vec<Result<Created, Failure>>, Error> {
    let found = postgres::autocommit(pool, &Insert { draft_ttl, new: &new }).await?;
    let made = new.iter().zip(&found).filter(|(_, found)| matches!(found, Found::Now(_)));
    let (held, drafts): (Vec<_>, Vec<_>) = made.partition(|(new, _)| new.held.is_some());
    if !held.is_empty() {
        wake.ring_held();
    }
    let mut done = Done::default();
    done.entered(StateName::Held, held.len() as u64);
    done.entered(StateName::Initiated, drafts.len() as u64);
    done.count();
    let created = new.into_iter().zip(found).map(|(new, found)| match found {
        Found::Now(now) => Ok(Created::New(Box::new(Seen { booking: booking(new, now, draft_ttl), now }))),
        Found::Before(seen) => seen.map(|seen| Created::Existing(Box::new(seen), Box::new(new))),
    });
    Ok(created.collect())
}

/// Where a booking is found behind the insert.
enum Found {
    /// It was inserted at this instant.
    Now(OffsetDateTime),
    /// Its id was there already.
    Before(Box<Result<Seen, Failure>>),
}

struct Insert<'a> {
    draft_ttl: Duration,
    new: &'a [New],
}

impl UnitOfWork for Insert<'_> {
    type Output = Vec<Found>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        let mut first: HashMap<Uuid, &New> = HashMap::with_capacity(self.new.len());
        for new in self.new {
            first.entry(new.id.get()).or_insert(new);
        }
        let unique: Vec<&New> = first.into_values().collect();
        let draft_ttl_ms = i64::try_from(self.draft_ttl.whole_milliseconds()).unwrap_or(i64::MAX);
        let traceparent = telemetry::propagation::current_traceparent();
        reach(Step::CreateInserting).await?;
        let inserted = create::insert(conn, &unique, draft_ttl_ms, traceparent.as_deref()).await?;
        reach(Step::CreateRecorded).await?;
        let mut inserted: HashMap<Uuid, OffsetDateTime> =
            inserted.into_iter().map(|row| (row.booking_id, row.created_at)).collect();
        // The first of an id takes its insert; whoever comes after finds a booking that is there.
        let news: Vec<Option<OffsetDateTime>> =
            self.new.iter().map(|new| inserted.remove(&new.id.get())).collect();
        let missing = news.iter().zip(self.new).filter(|(at, _)| at.is_none());
        let existing = existing(conn, &missing.map(|(_, new)| new.id.get()).collect::<Vec<_>>()).await?;
        news.into_iter()
            .zip(self.new)
            .map(|(at, new)| match at {
                Some(now) => Ok(Found::Now(now)),
                None => existing
                    .get(&new.id.get())
                    .map(|seen| Found::Before(Box::new(seen.clone())))
                    .ok_or(Error::LostUpdate("bookings")),
            })
            .collect()
    }
}

/// The bookings with these ids.
async fn existing(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Result<Seen, Failure>>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    Ok(bookings::by_id(bookings::get(conn, ids).await?, "create"))
}

/// The booking that the insert made, as it stands in its row.
fn booking(new: New, now: OffsetDateTime, draft_ttl: Duration) -> Booking {
    let state = match new.held {
        Some((placed, total_minor)) => State::Held(Hold {
            held_at: now,
            ttl: placed.ttl,
            deadline: now + placed.ttl,
            window_given: false,
            currency: placed.currency,
            total_minor,
        }),
        None => State::Initiated { deadline: now + draft_ttl },
    };
    Booking {
        id: new.id,
        customer_id: new.customer_id,
        lines: new.lines,
        asked_ttl_ms: new.asked_ttl_ms,
        attempt: Attempt::FIRST,
        state,
        history_length: 1,
        created_at: now,
        updated_at: now,
    }
}
