//! Damage to holds.

use system_tests::fresh_id;

use super::{Damage, Shop, hold, in_catalog, of};

/// Settles a hold by hand.
fn settle(id: &str, state: &str) -> String {
    format!("update holds set state = '{state}', review_at = null, settled_at = now() {}", of(id))
}

/// Makes a hold ACTIVE by hand; the sweep leaves it alone.
fn reopen(id: &str) -> String {
    let review = "now() + interval '1 hour'";
    format!("update holds set state = 'ACTIVE', review_at = {review}, settled_at = null {}", of(id))
}

/// Holds that are not settled as their bookings decided.
pub(super) fn verdicts(shop: &Shop) -> Vec<Damage> {
    let Shop { meal, held, paid, expired, .. } = shop;
    let (meal, other) = (&meal.product_id, fresh_id());
    vec![
        in_catalog(
            "a hold released whose booking is HELD",
            format!(
                "{}; update products set held = held - 3 where product_id = '{meal}';
                     update seats set state = 'FREE', booking_id = null, attempt = null {}",
                settle(held, "RELEASED"),
                of(held)
            ),
            format!(
                "{}; update products set held = held + 3 where product_id = '{meal}';
                     update seats set state = 'HELD', booking_id = '{held}', attempt = 1
                     where seat_map_id = '{}' and label = '1A'",
                reopen(held),
                shop.flight.seat_map_id
            ),
        )
        .finds(hold("HOLD_VERDICT", held)),
        in_catalog(
            "a hold released whose booking is CONFIRMED",
            format!(
                "{}; update products set sold = sold - 2 where product_id = '{meal}'",
                settle(paid, "RELEASED")
            ),
            format!(
                "{}; update products set sold = sold + 2 where product_id = '{meal}'",
                settle(paid, "COMMITTED")
            ),
        )
        .finds(hold("HOLD_VERDICT", paid)),
        in_catalog(
            "a hold released before its deadline",
            format!("update holds set settled_at = settled_at - interval '1 hour' {}", of(expired)),
            format!("update holds set settled_at = settled_at + interval '1 hour' {}", of(expired)),
        )
        .finds(hold("HOLD_VERDICT", expired)),
        in_catalog(
            "a settled hold of no booking",
            format!(
                "insert into holds (booking_id, attempt, state, lines, currency, hold_ttl_ms, settled_at)
                     select '{other}', 1, 'RELEASED', lines, currency, hold_ttl_ms, now() from holds {}",
                of(held)
            ),
            format!("delete from holds {}", of(&other)),
        )
        .finds(hold("HOLD_VERDICT", &other)),
        in_catalog(
            "a hold in a state that there is not",
            format!("update holds set state = 'LOST' {}", of(paid)),
            format!("update holds set state = 'COMMITTED' {}", of(paid)),
        )
        .finds(hold("HOLD_VERDICT", paid))
        .finds(shop.product()),
        in_catalog(
            "an open hold with a time of settlement",
            format!("update holds set settled_at = now() {}", of(held)),
            format!("update holds set settled_at = null {}", of(held)),
        )
        .finds(hold("HOLD_VERDICT", held)),
    ]
}

/// Holds that are not there as their bookings have them.
pub(super) fn claims(shop: &Shop) -> Vec<Damage> {
    let Shop { meal, paid, .. } = shop;
    let meal = &meal.product_id;
    vec![
        in_catalog(
            "a hold that is gone",
            format!("create table saved as select * from holds {0}; delete from holds {0}", of(paid)),
            "insert into holds select * from saved; drop table saved".to_owned(),
        )
        .finds(hold("BOOKING_HAS_HOLD", paid))
        .finds(shop.product()),
        in_catalog(
            "a hold of fewer units than its booking",
            format!(
                "update holds set lines = jsonb_set(lines, '{{0,quantity}}', '1') {};
                     update products set sold = sold - 1 where product_id = '{meal}'",
                of(paid)
            ),
            format!(
                "update holds set lines = jsonb_set(lines, '{{0,quantity}}', '2') {};
                     update products set sold = sold + 1 where product_id = '{meal}'",
                of(paid)
            ),
        )
        .finds(hold("BOOKING_HAS_HOLD", paid)),
        in_catalog(
            "a sale that nobody carried over",
            format!(
                "{}; update products set sold = sold - 2, held = held + 2 where product_id = '{meal}'",
                reopen(paid)
            ),
            format!(
                "{}; update products set sold = sold + 2, held = held - 2 where product_id = '{meal}'",
                settle(paid, "COMMITTED")
            ),
        )
        .finds(hold("SETTLEMENT_CARRIED", paid)),
        in_catalog(
            "a refund that nobody carried over",
            format!(
                "update holds set state = 'COMMITTED' {};
                     update products set sold = sold + 4 where product_id = '{meal}'",
                of(&shop.refunded)
            ),
            format!(
                "update holds set state = 'RELEASED' {};
                     update products set sold = sold - 4 where product_id = '{meal}'",
                of(&shop.refunded)
            ),
        )
        .finds(hold("SETTLEMENT_CARRIED", &shop.refunded)),
    ]
}
