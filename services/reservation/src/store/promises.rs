//! Table `outbox`, the writing side: what changes of bookings owe. `outbox.rs` takes it out again.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    domain::{
        booking::Booking,
        promise::{Promise, Settlement},
    },
    error::Error,
};

/// The promises of one unit of work, gathered booking by booking.
#[derive(Debug, Default)]
pub struct Owed {
    kind: Vec<&'static str>,
    subject: Vec<&'static str>,
    booking_id: Vec<Uuid>,
    attempt: Vec<Option<i32>>,
    customer_id: Vec<Option<String>>,
    deadline: Vec<Option<OffsetDateTime>>,
    reference: Vec<Option<Uuid>>,
}

impl Owed {
    /// Whether nothing is owed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kind.is_empty()
    }

    /// Whether something of this kind is owed: `timer`, `settle` or `event`.
    #[must_use]
    pub fn has(&self, kind: &str) -> bool {
        self.kind.contains(&kind)
    }

    /// Adds a promise about `booking`.
    pub fn push(&mut self, booking: &Booking, promise: Promise) {
        self.booking_id.push(booking.id.get());
        let (kind, subject, attempt, customer_id, deadline, reference) = match promise {
            Promise::Timer { attempt, deadline } => ("timer", "", Some(attempt), None, Some(deadline), None),
            Promise::Settle { attempt, verdict } => {
                let subject = match verdict {
                    Settlement::Commit => "COMMIT",
                    Settlement::Release => "RELEASE",
                };
                ("settle", subject, Some(attempt), None, None, None)
            }
            Promise::Event { subject, deadline, reference } => {
                ("event", subject, None, Some(booking.customer_id.clone()), deadline, reference)
            }
        };
        self.kind.push(kind);
        self.subject.push(subject);
        self.attempt.push(attempt.map(crate::domain::ids::Attempt::get));
        self.customer_id.push(customer_id);
        self.deadline.push(deadline);
        self.reference.push(reference);
    }
}

/// Writes the promises: one row for each kind and subject, whatever the number of bookings. An array of which this
/// kind and subject has no elements is null.
pub async fn insert(conn: &mut PgConnection, owed: &Owed, traceparent: Option<&str>) -> Result<(), Error> {
    sqlx::query!(
        "insert into outbox (kind, subject, booking_ids, attempts, customer_ids, deadlines, reference_ids,
                             traceparent, created_at)
         select kind, subject, array_agg(booking_id order by n),
                case when count(attempt) > 0 then array_agg(attempt order by n) end,
                case when count(customer_id) > 0 then array_agg(customer_id order by n) end,
                case when count(deadline) > 0 then array_agg(deadline order by n) end,
                case when count(reference) > 0 then array_agg(reference order by n) end,
                $8::text, clock_timestamp()
         from unnest($1::text[], $2::text[], $3::uuid[], $4::int[], $5::text[], $6::timestamptz[], $7::uuid[])
              with ordinality as p (kind, subject, booking_id, attempt, customer_id, deadline, reference, n)
         group by kind, subject
         order by min(n)",
        &owed.kind as _,
        &owed.subject as _,
        &owed.booking_id,
        &owed.attempt as _,
        &owed.customer_id as _,
        &owed.deadline as _,
        &owed.reference as _,
        traceparent,
    )
    .execute(conn)
    .await?;
    Ok(())
}
