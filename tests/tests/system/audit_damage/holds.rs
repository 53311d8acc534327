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

/// A hold that was on sale again before the step that allows it.
fn released_early(what: &'static str, id: &str) -> Damage {
    in_catalog(
        what,
        format!("update holds set settled_at = settled_at - interval '1 hour' {}", of(id)),
        format!("update holds set settled_at = settled_at + interval '1 hour' {}", of(id)),
    )
    .finds(hold("HOLD_VERDICT", id))
}

/// A hold that was sold although its booking ended without a sale.
fn sold(what: &'static str, id: &str, units: u32) -> Damage {
    let product = format!("(select (lines->0->>'product_id')::uuid from holds {})", of(id));
    let turn = |state, sign| {
        format!(
            "update holds set state = '{state}' {};
                 update products set sold = sold {sign} {units} where product_id = {product}",
            of(id)
        )
    };
    in_catalog(what, turn("COMMITTED", '+'), turn("RELEASED", '-')).finds(hold("HOLD_VERDICT", id))
}

/// Holds that are not settled as their bookings decided.
pub(super) fn verdicts(shop: &Shop) -> Vec<Damage> {
    let Shop { meal, held, paid, expired, .. } = shop;
    let meal = &meal.product_id;
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
        sold("a hold sold whose booking is EXPIRED", expired, 1),
        sold("a hold sold whose booking is CANCELLED", &shop.cancelled, 5)
            .finds(shop.seat("1C", &shop.cancelled)),
        in_catalog(
            "a hold of an attempt that its booking never made",
            format!("update holds set attempt = 2 {}", of(paid)),
            format!("update holds set attempt = 1 {}", of(paid)),
        )
        .finds(("HOLD_VERDICT", vec![("booking_id", paid.clone()), ("attempt", "2".to_owned())]))
        .finds(hold("BOOKING_HAS_HOLD", paid)),
        released_early("a hold released before its booking was cancelled", &shop.cancelled),
        released_early("a hold released before its booking was refunded", &shop.refunded),
    ]
}

/// Holds that make no sense, whatever their bookings are.
pub(super) fn oddities(shop: &Shop) -> Vec<Damage> {
    let Shop { held, paid, .. } = shop;
    let other = fresh_id();
    vec![
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
        in_catalog(
            "an open hold whose review never comes",
            format!("update holds set review_at = 'infinity' {}", of(held)),
            format!("update holds set review_at = now() + interval '1 hour' {}", of(held)),
        )
        .finds(hold("HOLD_VERDICT", held)),
    ]
}

/// Holds that are not there as their bookings have them.
pub(super) fn claims(shop: &Shop) -> Vec<Damage> {
    let Shop { meal, flight, held, paid, .. } = shop;
    let (meal, map) = (&meal.product_id, &flight.seat_map_id);
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
            "a hold of another seat of the same price",
            format!(
                "update holds set lines = replace(lines::text, '1A', '1B')::jsonb {0};
                     update seats set state = 'FREE', booking_id = null, attempt = null {0};
                     update seats set state = 'HELD', booking_id = '{held}', attempt = 1
                     where seat_map_id = '{map}' and label = '1B'",
                of(held)
            ),
            format!(
                "update holds set lines = replace(lines::text, '1B', '1A')::jsonb {0};
                     update seats set state = 'FREE', booking_id = null, attempt = null {0};
                     update seats set state = 'HELD', booking_id = '{held}', attempt = 1
                     where seat_map_id = '{map}' and label = '1A'",
                of(held)
            ),
        )
        .finds(hold("BOOKING_HAS_HOLD", held)),
    ]
}

/// Holds that nobody settles.
pub(super) fn leftovers(shop: &Shop) -> Vec<Damage> {
    let Shop { meal, paid, .. } = shop;
    let (meal, other) = (&meal.product_id, fresh_id());
    vec![
        in_catalog(
            "a hold of nobody whose review is put off",
            format!(
                "insert into holds (booking_id, attempt, state, lines, currency, hold_ttl_ms, review_at, created_at)
                     select '{other}', 1, 'ACTIVE', lines, currency, 1000, now() + interval '1 day',
                            now() - interval '1 hour'
                     from holds {};
                     update products set held = held + 2 where product_id = '{meal}'",
                of(paid)
            ),
            format!(
                "delete from holds {}; update products set held = held - 2 where product_id = '{meal}'",
                of(&other)
            ),
        )
        .finds(hold("HOLD_OVERDUE", &other)),
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
