//! A time that is none, in a row that no constraint kept it out of: its calls fail, and no one else's.

use std::{fs, time::Duration};

use proto::{
    catalog::{ListProductsRequest, Product},
    reservation::ListBookingsRequest,
};
use sqlx::AssertSqlSafe;
use stack::{Options, Schema, Stack};
use system_tests::{Outcome, World, fresh_id, hasty, own, units};

use crate::damaged_rows::{assert_fails_only, gathered, gathered_at};

/// Damage to a booking that is held.
const HELD: [&str; 5] = [
    "created_at = 'infinity'",
    "updated_at = '-infinity'",
    "held_at = '4000-01-01 BC'",
    "expires_at = '294000-01-01'",
    "held_at = '9999-12-31', expires_at = '9999-12-31'",
];
/// To a draft.
const DRAFT: [&str; 2] =
    ["draft_expires_at = 'infinity'", "state = 'EXPIRED', draft_expires_at = null, expired_at = 'infinity'"];

/// Changes a row of a booking, or of goods.
async fn spoil(world: &World, schema: Schema, statement: &str) {
    let mut database = match schema {
        Schema::Catalog => world.catalog_database().await,
        Schema::Reservation => world.reservation_database().await,
    };
    let changed = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut database).await;
    assert_eq!(changed.expect("nothing forbids it").rows_affected(), 1, "{statement}");
}

fn assert_nobody_panicked(stack: &Stack) {
    for service in stack.services() {
        let log = fs::read_to_string(service.log().expect("it has a log")).expect("it can be read");
        assert!(!log.contains("panicked"), "{log}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_with_a_time_that_is_none_fails_only_the_calls_about_it() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(1_000, Duration::from_mins(10)).await;
    let sound = world.hold(&[units(&meal, 1)]).await?;
    let mut damaged = Vec::new();
    for (hold, columns) in HELD.map(|columns| (true, columns)).into_iter().chain(DRAFT.map(|c| (false, c))) {
        let lines = [units(&meal, 1)];
        let booking = if hold { world.hold(&lines).await? } else { world.draft(&lines).await? };
        let id = &booking.booking_id;
        let statement = format!("update bookings set {columns} where booking_id = '{id}'");
        spoil(&world, Schema::Reservation, &statement).await;
        damaged.push(booking);
    }

    let ids = damaged.iter().cycle().flat_map(|bad| [(true, &bad.booking_id), (false, &sound.booking_id)]);
    let calls = ids.zip(60..120).map(async |((of_damaged, id), seconds)| {
        let extended = world.extend(id, Duration::from_secs(seconds)).await;
        (of_damaged, world.get(id).await.map(drop), extended.map(drop))
    });
    for (of_damaged, get, extend) in gathered(&world, 1, calls).await {
        assert_fails_only(of_damaged, &get);
        assert_fails_only(of_damaged, &extend);
    }
    for booking in &damaged {
        let request = ListBookingsRequest {
            customer_id: booking.customer_id.clone(),
            ..ListBookingsRequest::default()
        };
        assert_fails_only(true, &world.bookings.clone().list_bookings(request).await);
    }
    assert_nobody_panicked(&stack);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_with_a_time_that_is_none_fails_its_history_and_a_payment_with_one_nothing() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(10)).await;
    let booking_id = world.hold(&[units(&meal, 1)]).await?.booking_id;
    let payment_id = fresh_id();
    let paid = world.pay_with(&booking_id, &payment_id, true).await?;
    let of = |columns: &str, id: &str| format!("update {columns} where {id}");
    let payment = of("payments set created_at = 'infinity'", &format!("payment_id = '{payment_id}'"));
    spoil(&world, Schema::Reservation, &payment).await;
    assert_eq!(world.pay_with(&booking_id, &payment_id, true).await?, paid);

    for column in ["happened_at", "expires_at"] {
        let other = world.hold(&[units(&meal, 1)]).await?.booking_id;
        let step =
            of(&format!("booking_history set {column} = 'infinity'"), &format!("booking_id = '{other}'"));
        spoil(&world, Schema::Reservation, &step).await;
        assert_fails_only(true, &world.history(&other).await);
        world.get(&other).await?;
    }
    world.history(&booking_id).await?;
    assert_nobody_panicked(&stack);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goods_with_a_time_that_is_none_fail_only_the_calls_about_them() -> Outcome {
    let stack = own(Options { expirers: 0, ..Options::default() }).await;
    let world = World::of(&stack);
    let product = async || world.product(10, Duration::from_mins(10)).await;
    let (damaged, sound): (Product, Product) = (product().await, product().await);
    let id = &damaged.product_id;
    let statement = format!("update products set created_at = 'infinity' where product_id = '{id}'");
    spoil(&world, Schema::Catalog, &statement).await;

    let calls = (0..40).map(async |i| {
        let of_damaged = i % 2 == 0;
        let id = if of_damaged { &damaged.product_id } else { &sound.product_id };
        (of_damaged, world.get_product(id).await.map(drop))
    });
    let databases = [world.catalog_database().await, world.catalog_database().await];
    for (of_damaged, answer) in gathered_at(databases, "products", 1, calls).await {
        assert_fails_only(of_damaged, &answer);
    }
    assert_fails_only(true, &world.catalog.clone().list_products(ListProductsRequest::default()).await);
    // What is sold does not depend on it.
    world.hold(&[units(&damaged, 1), units(&sound, 1)]).await?;

    let map = async || world.seat_map(&["1A"], Duration::from_mins(10)).await;
    let (map, other) = (map().await, map().await);
    let id = &map.seat_map_id;
    let statement = format!("update seat_maps set updated_at = '-infinity' where seat_map_id = '{id}'");
    spoil(&world, Schema::Catalog, &statement).await;
    assert_fails_only(true, &world.get_seat_map(id).await);
    assert_fails_only(false, &world.get_seat_map(&other.seat_map_id).await);
    assert_nobody_panicked(&stack);
    Ok(())
}
