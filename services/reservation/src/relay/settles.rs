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
