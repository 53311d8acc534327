//! Products: what is sold by count, and the rule that their stock keeps.

use std::ops::RangeInclusive;

use time::OffsetDateTime;

use super::{
    customer::CustomerLimit,
    hold_ttl::HoldTtl,
    ids::{AdjustmentId, ProductId},
    money::Price,
    revision::Revision,
};

/// The units of a product: always `on_hand = available + held + sold`, and none of them negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    on_hand: i64,
    held: i64,
    sold: i64,
}

/// Counts that no stock has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stock has 0 <= held + sold <= on hand <= 10^12")]
pub struct ImpossibleStock;

/// Why a stock cannot change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StockRefusal {
    /// It would fall below what is held and sold.
    InUse,
    /// It would grow beyond [`Stock::ON_HAND`].
    TooLarge,
}

impl Stock {
    /// The units that a product may have.
    pub const ON_HAND: RangeInclusive<i64> = 0..=1_000_000_000_000;

    /// A stock of these counts.
    pub fn new(on_hand: i64, held: i64, sold: i64) -> Result<Self, ImpossibleStock> {
        let in_use = held.checked_add(sold).ok_or(ImpossibleStock)?;
        if held >= 0 && sold >= 0 && in_use <= on_hand && Self::ON_HAND.contains(&on_hand) {
            Ok(Self { on_hand, held, sold })
        } else {
            Err(ImpossibleStock)
        }
    }

    /// Units that exist.
    #[must_use]
    pub fn on_hand(self) -> i64 {
        self.on_hand
    }

    /// Units in open holds.
    #[must_use]
    pub fn held(self) -> i64 {
        self.held
    }

    /// Units sold and not refunded.
    #[must_use]
    pub fn sold(self) -> i64 {
        self.sold
    }

    /// Units that can be held now.
    #[must_use]
    pub fn available(self) -> i64 {
        self.on_hand - self.held - self.sold
    }

    /// The stock with `delta` units more (or fewer) on hand.
    pub fn adjust(self, delta: i64) -> Result<Self, StockRefusal> {
        let on_hand = self.on_hand.saturating_add(delta);
        if on_hand < self.held + self.sold {
            Err(StockRefusal::InUse)
        } else if on_hand > *Self::ON_HAND.end() {
            Err(StockRefusal::TooLarge)
        } else {
            Ok(Self { on_hand, ..self })
        }
    }
}

/// Something sold by count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Product {
    /// Its id.
    pub id: ProductId,
    /// The seller's code for it.
    pub sku: String,
    /// What people read.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// The price of one unit.
    pub price: Price,
    /// Its units.
    pub stock: Stock,
    /// How long a hold on it lasts.
    pub hold_ttl: HoldTtl,
    /// The most units that one customer may have.
    pub customer_limit: CustomerLimit,
    /// The version of the operator's fields.
    pub revision: Revision,
    /// When it was created.
    pub created_at: OffsetDateTime,
    /// When the operator last changed it or its stock.
    pub updated_at: OffsetDateTime,
}

/// A product to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewProduct {
    /// Its id.
    pub id: ProductId,
    /// The seller's code for it.
    pub sku: String,
    /// What people read.
    pub display_name: String,
    /// Free text.
    pub description: String,
    /// The price of one unit.
    pub price: Price,
    /// Units that exist.
    pub on_hand: i64,
    /// How long a hold on it lasts.
    pub hold_ttl: HoldTtl,
    /// The most units that one customer may have.
    pub customer_limit: CustomerLimit,
}

/// What an operator changes about a product; `None` leaves it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductChange {
    /// The seller's code for it.
    pub sku: Option<String>,
    /// What people read.
    pub display_name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The price of one unit, for later holds.
    pub price: Option<Price>,
    /// How long a hold on it lasts, for later holds.
    pub hold_ttl: Option<HoldTtl>,
    /// The most units that one customer may have, for later holds.
    pub customer_limit: Option<CustomerLimit>,
}

/// A change of a product's units on hand, which counts once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StockAdjustment {
    /// Its id.
    pub id: AdjustmentId,
    /// The product.
    pub product_id: ProductId,
    /// Units to add, or (below 0) to take away.
    pub delta: i64,
    /// Why, for the books.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stocks() -> impl Strategy<Value = Stock> {
        (0_i64..1_000, 0_i64..1_000, 0_i64..1_000).prop_map(|(held, sold, available)| Stock {
            on_hand: held + sold + available,
            held,
            sold,
        })
    }

    proptest! {
        #[test]
        fn an_adjusted_stock_is_possible_and_only_its_units_on_hand_change(stock in stocks(), delta: i64) {
            let possible = Stock::new(stock.on_hand.saturating_add(delta), stock.held, stock.sold);
            prop_assert_eq!(stock.adjust(delta).ok(), possible.ok());
        }

        #[test]
        fn the_books_balance(stock in stocks()) {
            prop_assert_eq!(stock.on_hand(), stock.available() + stock.held() + stock.sold());
            prop_assert_eq!(Stock::new(stock.on_hand, stock.held, stock.sold), Ok(stock));
        }

        #[test]
        fn no_counts_make_it_panic(on_hand: i64, held: i64, sold: i64) {
            if let Ok(stock) = Stock::new(on_hand, held, sold) {
                prop_assert!(stock.available() >= 0);
            }
        }
    }

    #[test]
    fn units_that_are_held_or_sold_cannot_be_taken_away() {
        let stock = Stock { on_hand: 10, held: 3, sold: 2 };
        assert_eq!(stock.adjust(-5).map(Stock::available), Ok(0));
        assert_eq!(stock.adjust(-6), Err(StockRefusal::InUse));
        assert_eq!(stock.adjust(1_000_000_000_000), Err(StockRefusal::TooLarge));
    }
}
