//! Verdicts to the catalog: many rows in one call, in their order.

use proto::catalog::{
    HoldKey, SettleHold, SettleHoldsRequest, SettleOutcome, hold_service_client::HoldServiceClient,
    settle_hold,
};
use server::Channel;

use super::DeliveryError;
use crate::{
    domain::{ids::Attempt, promise::Settlement},
    error::Error,
    store::outbox::Row,
};

/// The most verdicts in one call.
const MAX_VERDICTS: usize = 5_000;

/// Carries the verdicts of these rows over. Holds that the catalog does not know are logged and left: there is nothing to
/// settle.
pub(super) async fn deliver(
    catalog: &mut HoldServiceClient<Channel>,
    rows: &[Row],
) -> Result<(), DeliveryError> {
    let mut holds = Vec::new();
    for row in rows {
        holds.extend(verdicts(row)?);
    }
    for part in holds.chunks(MAX_VERDICTS) {
        let request = SettleHoldsRequest { holds: part.to_vec() };
        let response = catalog.settle_holds(request).await?.into_inner();
        if response.outcomes.len() != part.len() {
            return Err(DeliveryError::Answers { answered: response.outcomes.len(), asked: part.len() });
        }
        for (hold, outcome) in part.iter().zip(response.outcomes()) {
            if outcome == SettleOutcome::Unknown {
                let booking_id = hold.key.as_ref().map(|key| key.booking_id.as_str()).unwrap_or_default();
                tracing::warn!(booking_id, "the catalog does not know a hold that was to be settled");
            }
        }
    }
    Ok(())
}

fn verdicts(row: &Row) -> Result<Vec<SettleHold>, Error> {
    let verdict = match row.verdict()? {
        Settlement::Commit => settle_hold::Verdict::Commit(settle_hold::Commit {}),
        Settlement::Release => settle_hold::Verdict::Release(settle_hold::Release {}),
    };
    let settle = |(booking_id, attempt): (uuid::Uuid, Attempt)| SettleHold {
        key: Some(HoldKey { booking_id: booking_id.to_string(), attempt: attempt.get() }),
        verdict: Some(verdict),
    };
    Ok(row.keys()?.into_iter().map(settle).collect())
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;
    use uuid::Uuid;

    use super::*;

    fn row(subject: &str) -> Row {
        let now = datetime!(2026-11-22 10:00:00 UTC);
        Row {
            outbox_id: 7,
            subject: subject.to_owned(),
            booking_ids: vec![Uuid::from_u128(1), Uuid::from_u128(2)],
            attempts: Some(vec![1, 3]),
            customer_ids: None,
            deadlines: None,
            reference_ids: None,
            traceparent: None,
            created_at: now.into(),
            now,
        }
    }

    #[test]
    fn each_booking_of_a_row_gets_the_verdict_of_the_row() {
        let commits = verdicts(&row("COMMIT")).unwrap();
        let key = HoldKey { booking_id: Uuid::from_u128(2).to_string(), attempt: 3 };
        let commit = settle_hold::Verdict::Commit(settle_hold::Commit {});
        assert_eq!(commits.len(), 2);
        assert_eq!(commits[1], SettleHold { key: Some(key), verdict: Some(commit) });
        let release = settle_hold::Verdict::Release(settle_hold::Release {});
        assert_eq!(verdicts(&row("RELEASE")).unwrap()[0].verdict, Some(release));
    }

    #[test]
    fn a_row_that_makes_no_sense_is_refused() {
        assert!(verdicts(&row("MAYBE")).is_err());
        assert!(verdicts(&Row { attempts: None, ..row("COMMIT") }).is_err());
        assert!(verdicts(&Row { attempts: Some(vec![1, 0]), ..row("COMMIT") }).is_err());
    }
}
