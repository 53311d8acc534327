//! Callers who leave in the middle of a call: what was done is done as a whole or not at all, and a repeat finds it.

use std::time::Duration;

use futures::future::join_all;
use proto::{
    catalog::{SeatAction, SeatState, UpdateSeatsRequest},
    reservation::CreateBookingRequest,
};
use system_tests::{Outcome, Stock, World, customer, fresh_id, units};
use tokio::{task::yield_now, time::timeout};
use uuid::Uuid;

const MINUTE: Duration = Duration::from_mins(1);
const CALLS: u64 = 120;

/// Leaves a call after so many milliseconds; the first ones at once, after it was sent.
async fn leave<T>(n: u64, call: impl Future<Output = T>) {
    if n < 10 {
        tokio::select! { biased; _ = call => {}, () = yield_now() => {} }
    } else {
        let _ = timeout(Duration::from_millis(n / 10), call).await;
    }
}

#[tokio::test]
async fn bookings_whose_callers_left_are_found_by_their_repeats() -> Outcome {
    let world = World::shared();
    let meal = world.product(10_000, MINUTE).await;
    let request = |n| CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer(),
        lines: vec![units(&meal, 2)],
        hold: n % 4 > 0,
        hold_ttl: None,
    };
    let requests: Vec<_> = (0..CALLS).map(request).collect();
    join_all(
        (0..CALLS).zip(&requests).map(async |(n, request)| leave(n, world.create(request.clone())).await),
    )
    .await;
    for request in &requests {
        world.create(request.clone()).await?;
    }
    let held = i64::try_from(CALLS / 4 * 3 * 2)?;
    world.await_stock(&meal, Stock::new(10_000, held, 0)).await;

    join_all(
        (0..CALLS).zip(&requests).map(async |(n, request)| leave(n, world.cancel(&request.booking_id)).await),
    )
    .await;
    for request in &requests {
        world.cancel(&request.booking_id).await?;
        assert_eq!(world.history(&request.booking_id).await?.len(), 2);
    }
    world.await_stock(&meal, Stock::new(10_000, 0, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn operators_who_left_find_their_changes_whole_and_others_lose_nothing() -> Outcome {
    let world = World::shared();
    let meal = world.product(0, MINUTE).await;
    let labels: Vec<String> = (0..CALLS).map(|n| n.to_string()).collect();
    let map = world.seat_map(&labels.iter().map(String::as_str).collect::<Vec<_>>(), MINUTE).await;
    let adjustments: Vec<_> = (0..CALLS).map(|_| fresh_id()).collect();
    let block = |pair: &[String]| UpdateSeatsRequest {
        seat_map_id: map.seat_map_id.clone(),
        labels: pair.to_vec(),
        action: SeatAction::Block.into(),
        price: None,
    };

    for (n, id) in (0..CALLS).zip(&adjustments) {
        leave(n, world.adjust(id, &meal.product_id, 3)).await;
    }
    for (n, pair) in (0..CALLS).zip(labels.chunks(2)) {
        leave(n, world.catalog.clone().update_seats(block(pair))).await;
    }
    // Both seats of a pair or none.
    for pair in world.seat_states(&map).await.chunks(2) {
        assert_eq!(pair[0], pair[1]);
    }
    for id in &adjustments {
        world.adjust(id, &meal.product_id, 3).await?;
    }
    for pair in labels.chunks(2) {
        world.catalog.clone().update_seats(block(pair)).await?;
    }
    assert_eq!(world.stock(&meal).await, Stock::new(3 * i64::try_from(CALLS)?, 0, 0));
    assert!(world.seat_states(&map).await.iter().all(|state| *state == SeatState::Blocked));

    // What others were told meanwhile, over whichever connection, is there for everyone to see.
    let products = join_all((0..50).map(|_| world.product(1, MINUTE))).await;
    let ids: Vec<_> =
        products.iter().map(|product| Uuid::try_parse(&product.product_id)).collect::<Result<_, _>>()?;
    let there = sqlx::query_scalar::<_, i64>("select count(*) from products where product_id = any($1)");
    assert_eq!(there.bind(ids).fetch_one(&mut world.catalog_database().await).await?, 50);
    Ok(())
}
