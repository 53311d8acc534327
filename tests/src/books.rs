//! The books of a product: its counts, and what holds and bookings say that they must be.

use proto::catalog::Product;
use sqlx::Row as _;
use uuid::Uuid;

use crate::{PATIENCE, World, eventually, when};

/// The counts of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stock {
    /// Units that exist.
    pub on_hand: i64,
    /// Units in open holds.
    pub held: i64,
    /// Units sold.
    pub sold: i64,
    /// Units that can be held.
    pub available: i64,
}

impl Stock {
    /// Counts that balance.
    #[must_use]
    pub const fn new(on_hand: i64, held: i64, sold: i64) -> Self {
        Self { on_hand, held, sold, available: on_hand - held - sold }
    }

    /// What a product says.
    #[must_use]
    pub const fn of(product: &Product) -> Self {
        let Product { on_hand, held, sold, available, .. } = *product;
        Self { on_hand, held, sold, available }
    }
}

/// Units that are held and units that are sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Taken {
    held: i64,
    sold: i64,
}

impl World {
    /// The counts of a product balance, its holds add up to them at this instant, and soon so do the bookings.
    pub async fn assert_books_balance(&self, product: &Product) {
        let id = Uuid::try_parse(&product.product_id).expect("a product's id is a UUID");
        let (stock, taken) = self.counts_and_holds(id).await;
        assert_eq!(stock.on_hand, stock.held + stock.sold + stock.available, "{stock:?}");
        assert_eq!(Taken { held: stock.held, sold: stock.sold }, taken, "the holds do not add up: {stock:?}");
        eventually("what is held and sold is what bookings have", PATIENCE, async || {
            let wanted = self.taken_by_bookings(id).await;
            let (_, taken) = self.counts_and_holds(id).await;
            when(wanted == taken, (wanted, taken))
        })
        .await;
    }

    /// The counts of a product, and what its holds have taken, both at one instant.
    async fn counts_and_holds(&self, product_id: Uuid) -> (Stock, Taken) {
        let row = sqlx::query(
            "select p.on_hand, p.held, p.sold,
                    coalesce(sum(l.quantity) filter (where h.state = 'ACTIVE'), 0)::bigint as in_active,
                    coalesce(sum(l.quantity) filter (where h.state = 'COMMITTED'), 0)::bigint as in_committed
             from products p
             left join (holds h cross join lateral
                        jsonb_to_recordset(h.lines) as l (product_id uuid, quantity bigint))
                    on l.product_id = p.product_id and h.state <> 'RELEASED'
             where p.product_id = $1
             group by p.product_id",
        )
        .bind(product_id)
        .fetch_one(&mut self.catalog_database().await)
        .await
        .expect("the product is there");
        let stock = Stock::new(row.get("on_hand"), row.get("held"), row.get("sold"));
        (stock, Taken { held: row.get("in_active"), sold: row.get("in_committed") })
    }

    async fn taken_by_bookings(&self, product_id: Uuid) -> Taken {
        let row = sqlx::query(
            "select coalesce(sum(l.quantity) filter (where b.state in ('HELD', 'PAYMENT_PENDING')), 0)::bigint
                        as held,
                    coalesce(sum(l.quantity) filter (where b.state = 'CONFIRMED'), 0)::bigint as sold
             from bookings b
             cross join lateral jsonb_to_recordset(b.lines) as l (product_id uuid, quantity bigint)
             where l.product_id = $1",
        )
        .bind(product_id)
        .fetch_one(&mut self.reservation_database().await)
        .await
        .expect("bookings can be read");
        Taken { held: row.get("held"), sold: row.get("sold") }
    }
}
