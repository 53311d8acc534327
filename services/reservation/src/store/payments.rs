//! Table `payments`: every payment that was reported, and what it came to.

use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Inconsistent;
use crate::{
    domain::{
        command::PaymentOutcome,
        ids::{BookingId, PaymentId},
    },
    error::Error,
};

/// One payment.
#[derive(Clone, Copy, Debug)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// What it was for.
    pub booking_id: BookingId,
    /// What it came to.
    pub outcome: PaymentOutcome,
    /// When it was reported.
    pub at: OffsetDateTime,
}

/// Of the payments with these ids those that are there, in no order: which, for which booking, and what they came to.
pub async fn find(
    conn: &mut PgConnection,
    ids: &[Uuid],
) -> Result<Vec<(PaymentId, BookingId, PaymentOutcome)>, Error> {
    let rows =
        sqlx::query!("select payment_id, booking_id, outcome from payments where payment_id = any($1)", ids)
            .fetch_all(conn)
            .await?;
    rows.into_iter()
        .map(|row| {
            let outcome = PaymentOutcome::ALL
                .into_iter()
                .find(|outcome| outcome.as_str() == row.outcome)
                .ok_or(Inconsistent { booking_id: row.booking_id, what: "a payment of unknown outcome" })?;
            Ok((row.payment_id.into(), row.booking_id.into(), outcome))
        })
        .collect()
}

/// Stores payments. An id that is there already is a conflict of two units of work: one of them has to start again.
pub async fn insert(conn: &mut PgConnection, payments: &[Payment]) -> Result<(), Error> {
    let ids: Vec<Uuid> = payments.iter().map(|payment| payment.id.get()).collect();
    let booking_ids: Vec<Uuid> = payments.iter().map(|payment| payment.booking_id.get()).collect();
    let outcomes: Vec<&str> = payments.iter().map(|payment| payment.outcome.as_str()).collect();
    let at: Vec<OffsetDateTime> = payments.iter().map(|payment| payment.at).collect();
    sqlx::query!(
        "insert into payments (payment_id, booking_id, outcome, created_at)
         select * from unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])",
        &ids,
        &booking_ids,
        &outcomes as _,
        &at
    )
    .execute(conn)
    .await?;
    Ok(())
}
