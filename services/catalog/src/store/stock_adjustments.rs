//! Table `stock_adjustments`: every change of the units on hand that counted, once each.

use sqlx::PgConnection;

use crate::{
    Error,
    domain::{
        ids::{AdjustmentId, ProductId},
        product::StockAdjustment,
    },
};

/// Records an adjustment; `false` when its id was used before. A product that never was is
/// [`Error::ProductNotFound`].
pub async fn insert(conn: &mut PgConnection, adjustment: &StockAdjustment) -> Result<bool, Error> {
    let inserted = sqlx::query!(
        "insert into stock_adjustments (adjustment_id, product_id, delta, reason)
         values ($1, $2, $3, $4)
         on conflict (adjustment_id) do nothing",
        adjustment.id.as_uuid(),
        adjustment.product_id.as_uuid(),
        adjustment.delta,
        adjustment.reason,
    )
    .execute(conn)
    .await;
    match inserted {
        Err(error) if postgres::violates(&error, "stock_adjustments_product_id_fkey") => {
            Err(Error::ProductNotFound(adjustment.product_id))
        }
        inserted => Ok(inserted?.rows_affected() > 0),
    }
}

/// Reads an adjustment.
pub async fn find(conn: &mut PgConnection, id: AdjustmentId) -> Result<Option<StockAdjustment>, Error> {
    let row = sqlx::query!(
        "select product_id, delta, reason from stock_adjustments where adjustment_id = $1",
        id.as_uuid(),
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| StockAdjustment {
        id,
        product_id: ProductId::from(row.product_id),
        delta: row.delta,
        reason: row.reason,
    }))
}
