//! Adjustments of stock, of the API and of the domain.

use std::ops::RangeInclusive;

use api::{Violation, Violations, field};
use proto::catalog::AdjustStockRequest;

use super::id_or;
use crate::domain::{ids::AdjustmentId, product::StockAdjustment};

/// How far one adjustment may go either way.
const DELTA: RangeInclusive<i64> = -1_000_000_000_000..=1_000_000_000_000;

/// Reads the request for an adjustment.
pub fn new(request: &AdjustStockRequest) -> Result<StockAdjustment, Violations> {
    let mut bad = Violations::default();
    let id = bad.keep(id_or("adjustment_id", &request.adjustment_id, AdjustmentId::generate));
    let product_id = bad.keep(field::uuid("product_id", &request.product_id));
    let delta = bad.keep(delta(request.delta));
    let reason = bad.keep(field::text("reason", &request.reason, 0..=200));
    let (id, product_id, delta, reason) = bad.complete((id, product_id, delta, reason))?;
    Ok(StockAdjustment { id, product_id: product_id.into(), delta, reason })
}

fn delta(delta: i64) -> Result<i64, Violation> {
    if delta == 0 {
        return Err(Violation::new("delta", "must not be 0"));
    }
    field::integer("delta", delta, DELTA)
}
