//! Placing holds: what is decided without locks is taken in whole, or not at all.

use catalog::{
    domain::{
        customer::CustomerLimit,
        hold::{HoldKey, Item, SeatKey},
        place::{Outcome, PlaceRequest, Refusal, decide},
    },
    error::Error,
    holds::{self, Settings},
    store::place::{self, Asked},
};
use proto::catalog::{
    DeleteProductRequest,
    settle_hold::{self, Verdict},
};
use sqlx::PgPool;
use uuid::Uuid;

use crate::app::{self, App};

/// What comes after the time of a hold does not matter here.
const SETTINGS: Settings = Settings { grace_ms: 1_000, open_holds_limit: CustomerLimit::NONE };

fn request(items: Vec<Item>) -> PlaceRequest {
    let key = HoldKey { booking_id: Uuid::now_v7().into(), attempt: 1 };
    PlaceRequest { key, items, asked_ttl_ms: None, customer_id: None }
}

fn units(product_id: Uuid, quantity: i64) -> Item {
    Item::Product { product_id: product_id.into(), quantity }
}

fn seat(seat_map_id: Uuid, label: &str) -> SeatKey {
    SeatKey { seat_map_id: seat_map_id.into(), label: label.to_owned() }
}

fn is_conflict<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Database(error)) if postgres::is_conflict(error))
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn when_another_was_quicker_nothing_of_a_batch_is_taken(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let meal = app.product(5).await.product_id;
    let flight = app.seat_map(&["12A", "12B"]).await.seat_map_id;
    let (product_id, map_id) = (meal.parse().unwrap(), flight.parse().unwrap());
    let both = request(vec![units(product_id, 3), Item::Seat(seat(map_id, "12A"))]);
    let (seats, requests) = (seat(map_id, "12A"), [both]);
    let asked = Asked {
        keys: vec![requests[0].key],
        products: vec![product_id],
        seats: vec![&seats],
        ..Asked::default()
    };

    let mut conn = pool.acquire().await.unwrap();
    for quicker in [app::seat(&flight, "12A"), app::units(&meal, 3)] {
        let found = place::look(&mut conn, &asked).await.unwrap();
        let writes = decide(found, &requests).writes;
        assert_eq!(writes.holds.len(), 1);
        let key = app.hold(quicker).await.unwrap();
        assert!(is_conflict(&place::take(&mut conn, &writes, SETTINGS.grace_ms).await));
        let left = place::look(&mut conn, &asked).await.unwrap();
        assert!(left.holds.is_empty());
        app.settle(key, Verdict::Release(settle_hold::Release {})).await;
    }
    // What was in its way is gone: the same batch is taken now, and is found when it is asked for again.
    drop(conn);
    let outcomes = holds::place(&pool, SETTINGS, &requests).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Placed(_)));
    assert_eq!(holds::place(&pool, SETTINGS, &requests).await.unwrap(), outcomes);
    let meal = app.get_product(&meal).await;
    assert_eq!((meal.held, meal.available), (3, 2));
    app.stop().await;
}

#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn what_was_deleted_meanwhile_is_not_taken(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let meal = app.product(5).await.product_id;
    let requests = [request(vec![units(meal.parse().unwrap(), 1)])];
    let asked =
        Asked { keys: vec![requests[0].key], products: vec![meal.parse().unwrap()], ..Asked::default() };
    let mut conn = pool.acquire().await.unwrap();
    let writes = decide(place::look(&mut conn, &asked).await.unwrap(), &requests).writes;
    let delete = DeleteProductRequest { product_id: meal, ..Default::default() };
    app.client.delete_product(delete).await.unwrap();
    assert!(is_conflict(&place::take(&mut conn, &writes, SETTINGS.grace_ms).await));
    drop(conn);
    let outcomes = holds::place(&pool, SETTINGS, &requests).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Refused { reason: Refusal::ProductNotFound(_), line: Some(0) }));
    app.stop().await;
}

/// As replicas of the catalog do, without a lock between them.
#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn batches_that_race_for_the_last_units_and_seats_take_each_of_them_once(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let meal = app.product(20).await.product_id;
    let labels: Vec<String> = (0..10).map(|number| format!("{number}A")).collect();
    let flight = app.seat_map(&labels.iter().map(String::as_str).collect::<Vec<_>>()).await.seat_map_id;
    let batches = (0..6).map(|_| {
        let (pool, meal, map) = (pool.clone(), meal.parse().unwrap(), flight.parse().unwrap());
        let some = (0..8).map(|_| request(vec![units(meal, 1)]));
        let seats = labels.iter().map(|label| request(vec![Item::Seat(seat(map, label))]));
        let requests: Vec<PlaceRequest> = some.chain(seats).collect();
        tokio::spawn(async move { holds::place(&pool, SETTINGS, &requests).await })
    });
    let (mut placed, mut short, mut taken) = (0, 0, 0);
    for batch in batches.collect::<Vec<_>>() {
        for outcome in batch.await.unwrap().unwrap() {
            match outcome {
                Outcome::Placed(_) => placed += 1,
                Outcome::Refused { reason: Refusal::InsufficientStock { .. }, .. } => short += 1,
                Outcome::Refused { reason: Refusal::SeatTaken(_), .. } => taken += 1,
                Outcome::Refused { reason, .. } => panic!("{reason:?}"),
                Outcome::Damaged => panic!("nothing was damaged"),
            }
        }
    }
    assert_eq!((placed, short, taken), (20 + 10, 6 * 8 - 20, 6 * 10 - 10));
    let meal = app.get_product(&meal).await;
    assert_eq!((meal.held, meal.available), (20, 0));
    app.stop().await;
}

/// As if others were quicker each time that it looks without locks.
#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn a_batch_that_loses_again_and_again_locks_what_it_wants_and_gets_it(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let meal = app.product(5).await.product_id;
    let flight = app.seat_map(&["12A"]).await.seat_map_id;
    let lose_five_times = "
        create sequence takes;
        create or replace function take_all(taken bigint, wanted bigint) returns void language plpgsql as $$
        begin
            if nextval('takes') <= 5 then
                raise exception 'another was quicker' using errcode = 'serialization_failure';
            end if;
        end $$";
    sqlx::raw_sql(lose_five_times).execute(&pool).await.unwrap();
    let items = vec![units(meal.parse().unwrap(), 2), Item::Seat(seat(flight.parse().unwrap(), "12A"))];
    let outcomes = holds::place(&pool, SETTINGS, &[request(items)]).await.unwrap();
    assert!(matches!(outcomes[0], Outcome::Placed(_)));
    let takes: i64 = sqlx::query_scalar("select last_value from takes").fetch_one(&pool).await.unwrap();
    assert_eq!((takes, app.get_product(&meal).await.held), (6, 2));
    app.stop().await;
}
