//! The units on hand of a product.

use postgres::UnitOfWork;
use proto::catalog::{AdjustStockRequest, AdjustStockResponse};
use sqlx::{PgConnection, PgPool};

use super::products::present;
use crate::{
    Error,
    convert::{product, stock_adjustment as convert},
    domain::product::{Product, StockAdjustment, StockRefusal},
    store,
};

pub(super) async fn adjust(
    pool: &PgPool,
    request: &AdjustStockRequest,
) -> Result<AdjustStockResponse, Error> {
    let adjustment = convert::new(request)?;
    let product = postgres::transact(pool, &adjustment).await?;
    Ok(AdjustStockResponse {
        adjustment_id: adjustment.id.to_string(),
        product: Some(product::to_proto(product)),
    })
}

/// Records the adjustment and applies it; a repeat finds its record and changes nothing.
impl UnitOfWork for StockAdjustment {
    type Output = Product;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Product, Error> {
        let id = self.product_id;
        if !store::stock_adjustments::insert(conn, self).await? {
            let earlier = store::stock_adjustments::find(conn, self.id).await?;
            if earlier.as_ref() != Some(self) {
                return Err(Error::IdReused { name: "adjustment_id", id: self.id.into() });
            }
            return present(id, store::products::find(conn, id).await?);
        }
        match store::products::adjust(conn, id, self.delta).await? {
            Some(product) => Ok(product),
            None => Err(refusal(&present(id, store::products::find(conn, id).await?)?, self.delta)),
        }
    }
}

/// Why the stock of this product could not change by `delta`.
fn refusal(product: &Product, delta: i64) -> Error {
    let stock = product.stock;
    match stock.adjust(delta) {
        Err(StockRefusal::TooLarge) => {
            api::Violation::new("delta", "must not take the units on hand beyond 10^12").into()
        }
        // Also when it could by now: it was in use when the stock was to change.
        Err(StockRefusal::InUse) | Ok(_) => Error::StockInUse {
            product_id: product.id,
            on_hand: stock.on_hand(),
            held: stock.held(),
            sold: stock.sold(),
            delta,
        },
    }
}
