//! Random shelves and batches. Few products, seats and keys, so that the requests get in each other's way.

use std::collections::{BTreeMap, HashMap, HashSet};

use proptest::{collection::vec, option, prelude::*, sample::select};
use uuid::Uuid;

use super::super::{
    super::{
        customer::{CountKey, Counted, CustomerId, CustomerLimit},
        hold::{Hold, HoldKey, HoldState, Item, Line, SeatKey},
        ids::{ProductId, SeatMapId},
    },
    PlaceRequest, ProductOnSale, SeatOnSale, Shelf, Terms, Writes,
};

pub(in crate::domain) fn product_id(number: u128) -> ProductId {
    Uuid::from_u128(number).into()
}

pub(in crate::domain) fn seat_map_id(number: u128) -> SeatMapId {
    Uuid::from_u128(number).into()
}

pub(in crate::domain) fn seat(map: u128, label: &str) -> SeatKey {
    SeatKey { seat_map_id: seat_map_id(map), label: label.to_owned() }
}

pub(in crate::domain) fn key(booking: u128, attempt: i32) -> HoldKey {
    HoldKey { booking_id: Uuid::from_u128(booking).into(), attempt }
}

pub(in crate::domain) fn units(product: u128, quantity: i64) -> Item {
    Item::Product { product_id: product_id(product), quantity }
}

pub(in crate::domain) fn place_in(map: u128, label: &str) -> Item {
    Item::Seat(seat(map, label))
}

pub(super) fn terms(price_minor: i64, currency: &str, hold_ttl_ms: i64) -> Terms {
    Terms { price_minor, currency: currency.to_owned(), hold_ttl_ms, customer_limit: CustomerLimit::NONE }
}

pub(in crate::domain) fn customer(name: &str) -> CustomerId {
    name.to_owned().try_into().expect("customers have names")
}

pub(in crate::domain) fn at_most(number: i64) -> CustomerLimit {
    number.try_into().expect("a small number")
}

/// A request without a wish for its time.
pub(super) fn request(booking: u128, items: Vec<Item>) -> PlaceRequest {
    PlaceRequest { key: key(booking, 1), items, asked_ttl_ms: None, customer_id: None }
}

/// How many units can be held, and who can have a seat.
pub(in crate::domain) type Standing = (BTreeMap<ProductId, i64>, BTreeMap<SeatKey, bool>);

/// What there is to be had on a shelf.
pub(in crate::domain) fn standing(shelf: &Shelf) -> Standing {
    let products = shelf.products.iter().map(|(id, product)| (*id, product.available));
    let seats = shelf.seats.iter().map(|(seat, (state, _))| (seat.clone(), *state == SeatOnSale::Free));
    (products.collect(), seats.collect())
}

/// The shelf as the database has it once `writes` are written.
pub(in crate::domain) fn written(mut shelf: Shelf, writes: &Writes) -> Shelf {
    for (id, units) in &writes.products {
        shelf.products.get_mut(id).expect("only what is there is sold").available -= units;
    }
    for seat in writes.seats.keys() {
        shelf.seats.get_mut(seat).expect("only what is there is sold").0 = SeatOnSale::Taken;
    }
    for (key, taking) in &writes.counts {
        *shelf.counts.entry(key.clone()).or_default() += taking.taken;
    }
    shelf.holds.extend(writes.holds.iter().map(|hold| (hold.key, hold.clone())));
    shelf
}

fn some_terms() -> impl Strategy<Value = Terms> {
    let prices = prop_oneof![20 => 0_i64..1_000, 1 => Just(1_000_000_000_000)];
    let currencies = prop_oneof![20 => Just("EUR"), 1 => Just("USD")];
    let ttls = select(vec![100, 60_000, 600_000]);
    let limits = prop_oneof![2 => Just(0), 1 => 1_i64..8].prop_map(at_most);
    (prices, currencies, ttls, limits).prop_map(|(price, currency, ttl, customer_limit)| Terms {
        customer_limit,
        ..terms(price, currency, ttl)
    })
}

/// Products 1 to 3 and maps 1 and 2 exist, 4 and 3 do not; nor does seat E of any map.
fn some_item() -> impl Strategy<Value = Item> {
    let quantities = prop_oneof![20 => 1_i64..5, 1 => Just(1_000_000)];
    let products = prop_oneof![30 => 1_u128..=3, 1 => Just(4)];
    let maps = prop_oneof![30 => 1_u128..=2, 1 => Just(3)];
    let labels = prop_oneof![30 => select(vec!["A", "B", "C", "D"]), 1 => Just("E")];
    prop_oneof![
        (products, quantities).prop_map(|(product, quantity)| units(product, quantity)),
        (maps, labels).prop_map(|(map, label)| place_in(map, label)),
    ]
}

/// The lines of one request: a seat at most once, as every request is checked for.
fn some_items() -> impl Strategy<Value = Vec<Item>> {
    vec(some_item(), 1..5).prop_map(|mut items| {
        let mut seen = HashSet::new();
        items.retain(|item| match item {
            Item::Seat(seat) => seen.insert(seat.clone()),
            Item::Product { .. } => true,
        });
        items
    })
}

fn some_key() -> impl Strategy<Value = HoldKey> {
    (1_u128..=8, 1_i32..=2).prop_map(|(booking, attempt)| key(booking, attempt))
}

/// One of two, or nobody.
fn some_customer() -> impl Strategy<Value = Option<CustomerId>> {
    option::of(select(vec!["ann", "bob"]).prop_map(customer))
}

/// Batches of up to a dozen requests.
pub(in crate::domain) fn batches() -> impl Strategy<Value = Vec<PlaceRequest>> {
    let asked = option::of(select(vec![100, 30_000, 86_400_000]));
    let requests = (some_key(), some_items(), asked, some_customer()).prop_map(
        |(key, items, asked_ttl_ms, customer_id)| PlaceRequest { key, items, asked_ttl_ms, customer_id },
    );
    vec(requests, 0..12)
}

/// A hold that was placed in another batch.
fn older_holds() -> impl Strategy<Value = Hold> {
    let states = select(vec![HoldState::Active, HoldState::Committed, HoldState::Released]);
    (some_key(), states, some_items(), some_customer(), any::<bool>()).prop_map(
        |(key, state, items, customer_id, limited)| {
            let counts = customer_id.is_some() && limited;
            let lines = items.into_iter().map(|item| Line { item, price_minor: 7, counts }).collect();
            Hold {
                key,
                state,
                lines,
                currency: "EUR".to_owned(),
                hold_ttl_ms: 60_000,
                customer_id,
                counts_open: counts,
            }
        },
    )
}

/// What customers have of everything that can be counted.
fn some_counts() -> impl Strategy<Value = HashMap<CountKey, i64>> {
    let counted = (1..=3).map(|number| Counted::Product(product_id(number)));
    let counted = counted.chain((1..=2).map(|number| Counted::SeatMap(seat_map_id(number))));
    let counted: Vec<Counted> = counted.chain([Counted::OpenHolds]).collect();
    let keys: Vec<CountKey> = ["ann", "bob"]
        .into_iter()
        .flat_map(|name| {
            counted.iter().map(move |counted| CountKey { customer_id: customer(name), counted: *counted })
        })
        .collect();
    vec(prop_oneof![2 => Just(0), 1 => 1_i64..6], keys.len()).prop_map(move |numbers| {
        keys.iter().cloned().zip(numbers).filter(|(_, number)| *number > 0).collect()
    })
}

/// Shelves with a little of everything. The seats of a map have one limit.
pub(in crate::domain) fn shelves() -> impl Strategy<Value = Shelf> {
    let products = vec((0_i64..12, some_terms()), 3).prop_map(|products| {
        let products = products.into_iter().map(|(available, terms)| ProductOnSale { available, terms });
        (1_u128..).map(product_id).zip(products).collect()
    });
    let state = prop_oneof![8 => Just(SeatOnSale::Free), 1 => Just(SeatOnSale::Taken), 1 => Just(SeatOnSale::Blocked)];
    let seats = vec((state, some_terms()), 8).prop_map(|mut seats| {
        for map in seats.chunks_mut(4) {
            let customer_limit = map[0].1.customer_limit;
            for (_, terms) in map {
                terms.customer_limit = customer_limit;
            }
        }
        let keys = [1, 2].into_iter().flat_map(|map| ["A", "B", "C", "D"].map(|label| seat(map, label)));
        keys.zip(seats).collect()
    });
    let holds =
        vec(older_holds(), 0..3).prop_map(|holds| holds.into_iter().map(|hold| (hold.key, hold)).collect());
    let open_holds = prop_oneof![1 => Just(0), 1 => 1_i64..6].prop_map(at_most);
    (products, seats, holds, open_holds, some_counts()).prop_map(
        |(products, seats, holds, open_holds_limit, counts)| Shelf {
            products,
            seats,
            seat_maps: [1, 2].map(seat_map_id).into(),
            holds,
            open_holds_limit,
            counts,
            ..Shelf::default()
        },
    )
}
