//! The unit of work behind new bookings: one statement, one commit, for as many as wait.

use std::collections::HashMap;

use sqlx::PgPool;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    domain::{
        booking::{Booking, Hold, State},
        ids::Attempt,
    },
    error::Error,
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
    /// Its id was there already, with this booking; nothing was changed.
    Existing(Box<Seen>),
}

/// Inserts the bookings. An id that comes twice is inserted once.
pub async fn create(
    pool: &PgPool,
    draft_ttl: Duration,
    wake: &Wake,
    new: &[New],
) -> Result<Vec<Created>, Error> {
    let mut first: HashMap<Uuid, &New> = HashMap::with_capacity(new.len());
    for new in new {
        first.entry(new.id.get()).or_insert(new);
    }
    let unique: Vec<&New> = first.into_values().collect();
    let draft_ttl_ms = i64::try_from(draft_ttl.whole_milliseconds()).unwrap_or(i64::MAX);
    let traceparent = telemetry::propagation::current_traceparent();
    let mut conn = pool.acquire().await?;
    let inserted = create::insert(&mut conn, &unique, draft_ttl_ms, traceparent.as_deref()).await?;
    if unique.iter().any(|new| new.held.is_some()) {
        wake.ring_held();
    }
    let mut created: HashMap<Uuid, OffsetDateTime> =
        inserted.into_iter().map(|row| (row.booking_id, row.created_at)).collect();
    // The first of an id takes its insert; whoever comes after finds a booking that is there.
    let news: Vec<Option<Seen>> = new
        .iter()
        .map(|new| {
            created.remove(&new.id.get()).map(|now| Seen { booking: booking(new, now, draft_ttl), now })
        })
        .collect();
    let missing: Vec<Uuid> =
        news.iter().zip(new).filter(|(seen, _)| seen.is_none()).map(|(_, new)| new.id.get()).collect();
    let existing: HashMap<Uuid, Seen> = if missing.is_empty() {
        HashMap::new()
    } else {
        bookings::get(&mut conn, &missing)
            .await?
            .into_iter()
            .map(|seen| (seen.booking.id.get(), seen))
            .collect()
    };
    news.into_iter()
        .zip(new)
        .map(|(seen, new)| match seen {
            Some(seen) => Ok(Created::New(Box::new(seen))),
            None => existing
                .get(&new.id.get())
                .map(|seen| Created::Existing(Box::new(seen.clone())))
                .ok_or(Error::LostUpdate("bookings")),
        })
        .collect()
}

/// The booking that the insert made, as it stands in its row.
fn booking(new: &New, now: OffsetDateTime, draft_ttl: Duration) -> Booking {
    let state = match &new.held {
        Some((placed, total_minor)) => State::Held(Hold {
            held_at: now,
            ttl: placed.ttl,
            deadline: now + placed.ttl,
            window_given: false,
            currency: placed.currency.clone(),
            total_minor: *total_minor,
        }),
        None => State::Initiated { deadline: now + draft_ttl },
    };
    Booking {
        id: new.id,
        customer_id: new.customer_id.clone(),
        lines: new.lines.clone(),
        asked_ttl_ms: new.asked_ttl_ms,
        attempt: Attempt::FIRST,
        state,
        history_length: 1,
        created_at: now,
        updated_at: now,
    }
}
