//! Damage to products and seats.

use system_tests::fresh_id;

use super::{Damage, Shop, in_catalog};

/// Of products and seats.
pub(super) fn damages(shop: &Shop) -> Vec<Damage> {
    let Shop { meal, flight, held, cancelled, .. } = shop;
    let (meal, map, other) = (&meal.product_id, &flight.seat_map_id, fresh_id());
    let seat = format!("seat_map_id = '{map}' and label = '1A'");
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
            "a seat on sale that somebody holds",
            format!("update seats set state = 'FREE', booking_id = null, attempt = null where {seat}"),
            format!("update seats set state = 'HELD', booking_id = '{held}', attempt = 1 where {seat}"),
        )
        .finds(shop.seat("1A", held)),
        in_catalog(
            "a seat sold that is only held",
            format!("update seats set state = 'SOLD' where {seat}"),
            format!("update seats set state = 'HELD' where {seat}"),
        )
        .finds(shop.seat("1A", held)),
        in_catalog(
            "a seat held for nobody",
            format!("update seats set state = 'HELD', booking_id = '{other}', attempt = 1
                     where seat_map_id = '{map}' and label = '1B'"),
            format!("update seats set state = 'FREE', booking_id = null, attempt = null
                     where seat_map_id = '{map}' and label = '1B'"),
        )
        .finds(shop.seat("1B", &other)),
        in_catalog(
            "a seat sold whose hold was released",
            format!("update seats set state = 'SOLD', booking_id = '{cancelled}', attempt = 1
                     where seat_map_id = '{map}' and label = '1C'"),
            format!("update seats set state = 'FREE', booking_id = null, attempt = null
                     where seat_map_id = '{map}' and label = '1C'"),
        )
        .finds(shop.seat("1C", cancelled)),
        in_catalog(
            "a blocked seat that names a hold",
            format!("update seats set state = 'BLOCKED', booking_id = '{other}', attempt = 1
                     where seat_map_id = '{map}' and label = '1B'"),
            format!("update seats set state = 'FREE', booking_id = null, attempt = null
                     where seat_map_id = '{map}' and label = '1B'"),
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
