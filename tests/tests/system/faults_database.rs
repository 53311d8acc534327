//! PostgreSQL away: refused at once, nothing lost, and everything comes back by itself.

use std::time::{Duration, Instant};

use proto::{
    catalog::{ListProductsRequest, SeatState},
    reservation::{BookingState, ListBookingsRequest},
};
use stack::Shutdown;
use system_tests::{
    Outcome, PATIENCE, Stock, World, assert_refused, eventually, fresh_id, hasty, own, sample_product, seat,
    units, when,
};
use tokio::task::block_in_place;
use tonic::{Code, Status};
use tonic_health::pb::health_check_response::ServingStatus;

use crate::health::check;

/// As long as any of these calls may take without its database: less than a caller's usual deadline.
const ANSWERED_WITHIN: Duration = Duration::from_secs(6);

async fn assert_unavailable<T: std::fmt::Debug>(call: impl Future<Output = Result<T, Status>>) {
    let start = Instant::now();
    let status = call.await.expect_err("the database is away");
    assert!(start.elapsed() < ANSWERED_WITHIN, "{:?}: {status:?}", start.elapsed());
    assert!(api::retry_delay_of(&status).is_some(), "{status:?}");
    assert_refused(Err::<(), _>(status), Code::Unavailable, "UNAVAILABLE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgresql_calls_are_unavailable_and_with_it_everything_is_as_it_was() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_secs(2)).await;
    let map = world.seat_map(&["1A", "1B"], Duration::from_mins(5)).await;
    let short = world.hold(&[units(&meal, 3)]).await?;
    let long = world.hold(&[seat(&map, "1A")]).await?;
    let draft = world.draft(&[seat(&map, "1B")]).await?;
    let before = world.record(&long.booking_id).await;
    block_in_place(|| stack.postgres().stop(Shutdown::Fast));

    let id = &long.booking_id;
    let listed = async { world.bookings.clone().list_bookings(ListBookingsRequest::default()).await };
    let products = async { world.catalog.clone().list_products(ListProductsRequest::default()).await };
    let (line, unused) = ([units(&meal, 1)], fresh_id());
    tokio::join!(
        assert_unavailable(world.get(id)),
        assert_unavailable(world.history(id)),
        assert_unavailable(listed),
        assert_unavailable(world.hold(&line)),
        assert_unavailable(world.draft(&line)),
        assert_unavailable(world.hold_draft(&draft.booking_id)),
        assert_unavailable(world.extend(id, Duration::from_mins(1))),
        assert_unavailable(world.start_payment(id)),
        assert_unavailable(world.complete(id, "", true)),
        assert_unavailable(world.pay(id)),
        assert_unavailable(world.cancel(id)),
        assert_unavailable(world.refund(id)),
        assert_unavailable(world.get_product(&meal.product_id)),
        assert_unavailable(products),
        assert_unavailable(world.create_product(&unused, sample_product())),
        assert_unavailable(world.adjust(&unused, &meal.product_id, 1)),
        assert_unavailable(world.delete_product(&meal.product_id)),
        assert_unavailable(world.get_seat_map(&map.seat_map_id)),
    );

    for (service, name) in [
        (stack.catalog(), "holdfast.catalog.v1.CatalogService"),
        (stack.reservation(), "holdfast.reservation.v1.BookingService"),
    ] {
        eventually("it is not ready", PATIENCE, async || {
            let status = check(service, name).await.expect("it answers");
            when(status == ServingStatus::NotServing, status)
        })
        .await;
        assert_eq!(check(service, "").await?, ServingStatus::Serving);
        let ready = service.get("/readyz").expect("it answers");
        assert_eq!(ready.status, 503);
        assert!(ready.body.contains("database"), "{}", ready.body);
    }

    block_in_place(|| {
        stack.postgres().restart().expect("it starts again");
        for service in stack.services() {
            service.wait_ready(PATIENCE).expect("it is ready again by itself");
        }
    });
    world.await_state(&short.booking_id, BookingState::Expired).await;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    assert_eq!(world.record(id).await, before);
    assert_eq!(world.seat_states(&map).await, [SeatState::Held, SeatState::Free]);
    assert_eq!(world.pay(id).await?.state(), BookingState::Confirmed);
    assert_eq!(world.hold_draft(&draft.booking_id).await?.state(), BookingState::Held);
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
