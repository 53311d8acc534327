//! Limits per customer: counts are what holds have counted, whoever takes and gives back at the same moment.

use std::collections::BTreeMap;

use catalog::{
    Config,
    domain::{
        customer::{Counted, CustomerId},
        hold::{HoldKey, Item, SeatKey},
        place::{Outcome, PlaceRequest, Refusal, decide},
        settle::Verdict,
    },
    error::Error,
    holds::{self, Settings},
    recount,
    store::place::{self, Asked},
};
use clap::Parser as _;
use sqlx::{ConnectOptions as _, PgPool, Row as _};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{App, new_product, new_seat_map};

fn settings(open_holds: i64) -> Settings {
    Settings { grace_ms: 60_000, open_holds_limit: open_holds.try_into().unwrap() }
}

fn customer(name: &str) -> CustomerId {
    name.to_owned().try_into().unwrap()
}

fn request(name: &str, items: Vec<Item>) -> PlaceRequest {
    let key = HoldKey { booking_id: Uuid::now_v7().into(), attempt: 1 };
    PlaceRequest { key, items, asked_ttl_ms: None, customer_id: Some(customer(name)) }
}

fn units(product_id: Uuid, quantity: i64) -> Item {
    Item::Product { product_id: product_id.into(), quantity }
}

fn seat(map: Uuid, label: usize) -> Item {
    Item::Seat(SeatKey { seat_map_id: map.into(), label: label.to_string() })
}

impl App {
    /// A product with plenty of units, of which one customer may have so many.
    async fn limited_product(&mut self, limit: i64) -> Uuid {
        let mut request = new_product();
        let product = request.product.as_mut().unwrap();
        (product.on_hand, product.max_units_per_customer) = (1_000_000, limit);
        let product = self.client.create_product(request).await.unwrap().into_inner().product.unwrap();
        assert_eq!(product.max_units_per_customer, limit);
        product.product_id.parse().unwrap()
    }

    /// A map of so many seats, named by their numbers, of which one customer may have so many.
    async fn limited_map(&mut self, seats: usize, limit: i64) -> Uuid {
        let labels: Vec<String> = (0..seats).map(|number| number.to_string()).collect();
        let mut request = new_seat_map(&labels.iter().map(String::as_str).collect::<Vec<_>>());
        request.seat_map.as_mut().unwrap().max_units_per_customer = limit;
        let map = self.client.create_seat_map(request).await.unwrap().into_inner().seat_map.unwrap();
        assert_eq!(map.max_units_per_customer, limit);
        map.seat_map_id.parse().unwrap()
    }
}

/// What is counted, by customer and thing.
async fn counts(pool: &PgPool) -> BTreeMap<(String, String), i64> {
    let rows =
        sqlx::query("select customer_id, counted, taken from customer_counts").fetch_all(pool).await.unwrap();
    rows.iter().map(|row| ((row.get("customer_id"), row.get("counted")), row.get("taken"))).collect()
}

fn counted<const N: usize>(counts: [(&str, &str, i64); N]) -> BTreeMap<(String, String), i64> {
    counts.into_iter().map(|(name, what, taken)| ((name.to_owned(), what.to_owned()), taken)).collect()
}

/// What became of requests: placed ones, and refusals by what they limit.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    placed: Vec<HoldKey>,
    units: usize,
    seats: usize,
    open: usize,
}

impl Tally {
    fn note(&mut self, outcomes: Vec<Outcome>) {
        for outcome in outcomes {
            match outcome {
                Outcome::Placed(hold) => self.placed.push(hold.key),
                Outcome::Refused {
                    reason: Refusal::CustomerLimit { counted: Counted::Product(_), .. },
                    ..
                } => {
                    self.units += 1;
                }
                Outcome::Refused { reason: Refusal::CustomerLimit { .. }, .. } => self.seats += 1,
                Outcome::Refused { reason: Refusal::OpenHoldsLimit { .. }, .. } => self.open += 1,
                other => panic!("{other:?}"),
            }
        }
    }
}

/// As replicas of the catalog do, without a lock between them.
#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn batches_that_race_for_one_customer_take_as_much_as_one_may_have(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let (meal, map) = (app.limited_product(20).await, app.limited_map(80, 10).await);
    let batches = (0..8).map(|n| {
        let pool = pool.clone();
        let meals = (0..8).map(|_| request("ann", vec![units(meal, 1)]));
        let seats = (0..10).map(|i| request("ann", vec![seat(map, n * 10 + i)]));
        let requests: Vec<PlaceRequest> = meals.chain(seats).collect();
        tokio::spawn(async move { holds::place(&pool, settings(0), &requests).await })
    });
    let mut tally = Tally::default();
    for batch in batches.collect::<Vec<_>>() {
        tally.note(batch.await.unwrap().unwrap());
    }
    assert_eq!((tally.placed.len(), tally.units, tally.seats), (20 + 10, 8 * 8 - 20, 8 * 10 - 10));
    assert_eq!(counts(&pool).await, counted([("ann", "PRODUCT", 20), ("ann", "SEAT_MAP", 10)]));
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn batches_that_race_while_others_settle_count_what_the_holds_count(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let (meal, map) = (app.limited_product(6).await, app.limited_map(500, 4).await);
    let rounds = (0..6).map(|n| {
        let pool = pool.clone();
        tokio::spawn(async move {
            let (name, mut tally) = (["ann", "bob"][n % 2], Tally::default());
            for round in 0..12 {
                let number = n * 60 + round * 5;
                let requests = [
                    request(name, vec![units(meal, 2), seat(map, number)]),
                    request(name, vec![seat(map, number + 1), seat(map, number + 2)]),
                    request(name, vec![units(meal, 1)]),
                ];
                tally.note(holds::place(&pool, settings(3), &requests).await.unwrap());
                // Every third is sold and every second given back; what was sold is given back at the end.
                let verdict = |(i, key): (usize, &HoldKey)| match i % 3 {
                    0 => (*key, Verdict::Commit),
                    1 => (*key, Verdict::Release),
                    _ => (*key, Verdict::ReviewAfter(1_000)),
                };
                let verdicts: Vec<_> = tally.placed.iter().enumerate().map(verdict).collect();
                if !verdicts.is_empty() {
                    holds::settle(&pool, &verdicts).await.unwrap();
                }
                if round % 4 == 3 && !tally.placed.is_empty() {
                    let all: Vec<_> = tally.placed.drain(..).map(|key| (key, Verdict::Release)).collect();
                    holds::settle(&pool, &all).await.unwrap();
                }
            }
            tally
        })
    });
    let mut refused = 0;
    for round in rounds.collect::<Vec<_>>() {
        let tally = round.await.unwrap();
        assert_eq!(tally.placed, []);
        refused += tally.units + tally.seats + tally.open;
    }
    assert!(refused > 0, "nobody came to a limit");
    assert_eq!(counts(&pool).await, counted([]));
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn an_open_hold_counts_until_it_is_sold_and_its_units_until_they_are_given_back(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let meal = app.limited_product(4).await;
    let requests = [request("ann", vec![units(meal, 3)]), request("ann", vec![units(meal, 1)])];
    holds::place(&pool, settings(2), &requests).await.unwrap();
    assert_eq!(counts(&pool).await, counted([("ann", "OPEN_HOLDS", 2), ("ann", "PRODUCT", 4)]));
    let [first, second] = requests.each_ref().map(|request| request.key);
    holds::settle(&pool, &[(first, Verdict::Commit), (second, Verdict::Release)]).await.unwrap();
    assert_eq!(counts(&pool).await, counted([("ann", "PRODUCT", 3)]));
    // Told again, nothing more is given back; whether there are limits by now is no matter.
    sqlx::query("update products set max_units_per_customer = 0").execute(&pool).await.unwrap();
    holds::settle(&pool, &[(first, Verdict::Commit), (second, Verdict::Release)]).await.unwrap();
    assert_eq!(counts(&pool).await, counted([("ann", "PRODUCT", 3)]));
    holds::settle(&pool, &[(first, Verdict::Release)]).await.unwrap();
    assert_eq!(counts(&pool).await, counted([]));
    app.stop().await;
}

/// A limit may be set between the look that knows of none and the taking: what was not looked at is guarded all the same.
#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn counts_that_nobody_looked_at_are_guarded_where_they_are_taken(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let meal = app.limited_product(2).await;
    let all = holds::place(&pool, settings(0), &[request("ann", vec![units(meal, 2)])]).await.unwrap();
    assert!(matches!(all[0], Outcome::Placed(_)));
    let requests = [request("ann", vec![units(meal, 1)])];
    let asked = Asked { keys: vec![requests[0].key], products: vec![meal], ..Asked::default() };
    let mut conn = pool.acquire().await.unwrap();
    let writes = decide(place::look(&mut conn, &asked).await.unwrap(), &requests).writes;
    assert_eq!((writes.holds.len(), writes.counts.len()), (1, 1));
    let refused = place::take(&mut conn, &writes, 60_000).await;
    assert!(matches!(refused, Err(Error::Database(error)) if postgres::is_conflict(&error)));
    drop(conn);
    assert_eq!(counts(&pool).await, counted([("ann", "PRODUCT", 2)]));
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_recount_puts_right_what_old_programs_left(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let (meal, map) = (app.limited_product(10).await, app.limited_map(5, 5).await);
    let requests = [
        request("ann", vec![units(meal, 3), seat(map, 1)]),
        request("ann", vec![units(meal, 2)]),
        request("bob", vec![units(meal, 7), seat(map, 2)]),
    ];
    holds::place(&pool, settings(9), &requests).await.unwrap();
    let config = {
        let url = pool.connect_options().to_url_lossy().to_string();
        Config::parse_from(["catalog", "--database-connections", "2", "--database-url", &url])
    };
    let recount = async || recount(&config, &CancellationToken::new()).await.unwrap();
    assert_eq!(recount().await, 0);
    // As a program does that knows of no counts: the first hold is released, and nobody gets anything back.
    let released =
        "update holds set state = 'RELEASED', review_at = null, settled_at = now() where booking_id = $1";
    sqlx::query(released).bind(requests[0].key.booking_id.as_uuid()).execute(&pool).await.unwrap();
    sqlx::query("delete from customer_counts where customer_id = 'bob' and counted = 'SEAT_MAP'")
        .execute(&pool)
        .await
        .unwrap();
    // Open holds, units and the seat of ann; the seat of bob.
    assert_eq!(recount().await, 4);
    let right = [
        ("ann", "OPEN_HOLDS", 1),
        ("ann", "PRODUCT", 2),
        ("bob", "OPEN_HOLDS", 1),
        ("bob", "PRODUCT", 7),
        ("bob", "SEAT_MAP", 1),
    ];
    assert_eq!(counts(&pool).await, counted(right));
    assert_eq!(recount().await, 0);
    app.stop().await;
}
