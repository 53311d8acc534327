//! Damage to products and seats.

use system_tests::fresh_id;

use super::{Damage, Shop, in_catalog};

/// Of products and seats.
pub(super) fn damages(shop: &Shop) -> Vec<Damage> {
    let Shop { meal, flight, limited, held, cancelled, .. } = shop;
    let limited = &limited.product_id;
    let (meal, map, other) = (&meal.product_id, &flight.seat_map_id, fresh_id());
    // A seat, and the first attempt of the booking that its row names.
    let becomes = |label: &str, state: &str, holder: Option<&String>| {
        let holder = holder.map_or("booking_id = null, attempt = null".to_owned(), |booking_id| {
            format!("booking_id = '{booking_id}', attempt = 1")
        });
        format!(
            "update seats set state = '{state}', {holder} where seat_map_id = '{map}' and label = '{label}'"
        )
    };
    vec![
        in_catalog(
            "a count that its holds do not have",
            format!("update products set held = held + 1 where product_id = '{meal}'"),
            format!("update products set held = held - 1 where product_id = '{meal}'"),
        )
        .finds(shop.product()),
        in_catalog(
            "more held and sold than there is",
            format!("update products set on_hand = 4 where product_id = '{meal}'"),
            format!("update products set on_hand = 100 where product_id = '{meal}'"),
        )
        .finds(shop.product()),
        in_catalog(
            "a customer counted with units that they do not have",
            format!("update customer_counts set taken = taken + 1 where item_id = '{limited}'"),
            format!("update customer_counts set taken = taken - 1 where item_id = '{limited}'"),
        )
        .finds(("CUSTOMER_COUNTS", vec![("product_id", limited.clone())])),
        in_catalog(
            "a customer counted with seats where the hold has units",
            format!("update customer_counts set counted = 'SEAT_MAP' where item_id = '{limited}'"),
            format!("update customer_counts set counted = 'PRODUCT' where item_id = '{limited}'"),
        )
        .finds(("CUSTOMER_COUNTS", vec![("product_id", limited.clone())]))
        .finds(("CUSTOMER_COUNTS", vec![("seat_map_id", limited.clone())])),
        in_catalog("a seat on sale that somebody holds", becomes("1A", "FREE", None), becomes("1A", "HELD", Some(held)))
            .finds(shop.seat("1A", held)),
        in_catalog("a seat sold that is only held", becomes("1A", "SOLD", Some(held)), becomes("1A", "HELD", Some(held)))
            .finds(shop.seat("1A", held)),
        in_catalog("a seat held for nobody", becomes("1B", "HELD", Some(&other)), becomes("1B", "FREE", None))
            .finds(shop.seat("1B", &other)),
        in_catalog(
            "a seat sold whose hold was released",
            becomes("1C", "SOLD", Some(cancelled)),
            becomes("1C", "FREE", None),
        )
        .finds(shop.seat("1C", cancelled)),
        in_catalog(
            "a blocked seat that names a hold",
            becomes("1B", "BLOCKED", Some(&other)),
            becomes("1B", "FREE", None),
        )
        .finds(shop.seat("1B", &other)),
        in_catalog(
            "a seat in two holds",
            format!(
                "insert into holds (booking_id, attempt, state, lines, currency, hold_ttl_ms, review_at)
                 values ('{other}', 1, 'ACTIVE',
                         '[{{\"seat_map_id\": \"{map}\", \"label\": \"1A\", \"price_minor\": 1}}]', 'EUR', 1000,
                         now() + interval '1 hour')"
            ),
            format!("delete from holds where booking_id = '{other}'"),
        )
        .finds(shop.seat("1A", &other)),
    ]
}
