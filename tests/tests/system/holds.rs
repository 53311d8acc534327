//! Holds: what they take, for how long, at which price.

use std::time::Duration;

use api::time::{from_duration, from_timestamp};
use proto::{
    catalog::SeatState,
    reservation::{Booking, BookingState, CreateBookingRequest, HoldBookingRequest},
};
use system_tests::{Outcome, Stock, World, customer, euros, fresh_id, seat, times, units};

const MINUTE: Duration = Duration::from_mins(1);

/// How long a booking that was held at its creation was to last.
fn first_ttl(booking: &Booking) -> time::Duration {
    let created = booking.create_time.as_ref().and_then(from_timestamp).expect("it has a time of creation");
    let expires = booking.expire_time.as_ref().and_then(from_timestamp).expect("it has a deadline");
    expires - created
}

fn held_for(
    booking_id: &str,
    lines: &[proto::reservation::Line],
    hold_ttl: Duration,
) -> CreateBookingRequest {
    CreateBookingRequest {
        booking_id: booking_id.to_owned(),
        customer_id: customer(),
        lines: lines.to_vec(),
        hold: true,
        hold_ttl: Some(times(hold_ttl)),
    }
}

#[tokio::test]
async fn a_hold_takes_its_units_until_its_deadline_at_the_price_of_now() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let map = world.seat_map(&["12A", "12B"], MINUTE).await;

    let booking = world.hold(&[units(&meal, 2), seat(&map, "12A")]).await?;

    assert_eq!(booking.state(), BookingState::Held);
    assert_eq!(booking.total, Some(euros(2 * 1_250 + 10_000)));
    let prices: Vec<_> = booking.lines.iter().map(|line| line.unit_price.clone()).collect();
    assert_eq!(prices, [Some(euros(1_250)), Some(euros(10_000))]);
    assert_eq!(first_ttl(&booking), MINUTE);
    let remaining =
        booking.remaining.as_ref().and_then(from_duration).expect("an open booking has time left");
    assert!(remaining > time::Duration::ZERO && remaining <= MINUTE, "{remaining}");
    assert_eq!(world.stock(&meal).await, Stock::new(10, 2, 0));
    assert_eq!(world.seat_states(&map).await, [SeatState::Held, SeatState::Free]);
    assert_eq!(world.record(&booking.booking_id).await.path(), ["HELD"]);
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_draft_takes_nothing_until_it_is_held() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;

    let draft = world.draft(&[units(&meal, 3)]).await?;
    assert_eq!((draft.state(), draft.total.clone()), (BookingState::Initiated, None));
    assert_eq!(world.stock(&meal).await, Stock::new(10, 0, 0));

    let held = world.hold_draft(&draft.booking_id).await?;
    assert_eq!((held.state(), held.total), (BookingState::Held, Some(euros(3_750))));
    assert_eq!(world.stock(&meal).await, Stock::new(10, 3, 0));
    assert_eq!(world.record(&draft.booking_id).await.path(), ["INITIATED", "HELD"]);
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_draft_of_what_cannot_be_had_stays_a_draft() -> Outcome {
    let world = World::shared();
    let meal = world.product(2, MINUTE).await;
    let draft = world.draft(&[units(&meal, 3)]).await?;
    let before = world.record(&draft.booking_id).await;

    let refused = world.hold_draft(&draft.booking_id).await;
    system_tests::assert_refused(refused, tonic::Code::FailedPrecondition, "INSUFFICIENT_STOCK");

    assert_eq!(world.record(&draft.booking_id).await, before);
    world.adjust(&fresh_id(), &meal.product_id, 1).await?;
    assert_eq!(world.hold_draft(&draft.booking_id).await?.state(), BookingState::Held);
    assert_eq!(world.stock(&meal).await, Stock::new(3, 3, 0));
    Ok(())
}

#[tokio::test]
async fn a_hold_lasts_as_long_as_the_shortest_of_its_goods() -> Outcome {
    let world = World::shared();
    let quick = world.product(10, Duration::from_secs(20)).await;
    let slow = world.product(10, MINUTE).await;
    let map = world.seat_map(&["1A"], Duration::from_mins(10)).await;

    let booking = world.hold(&[units(&slow, 1), seat(&map, "1A"), units(&quick, 1)]).await?;
    assert_eq!(first_ttl(&booking), Duration::from_secs(20));
    Ok(())
}

#[tokio::test]
async fn a_request_may_ask_for_less_time_but_not_for_more() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let line = [units(&meal, 1)];

    let less = world.create(held_for(&fresh_id(), &line, Duration::from_secs(7))).await?;
    assert_eq!(first_ttl(&less), Duration::from_secs(7));
    let more = world.create(held_for(&fresh_id(), &line, Duration::from_hours(1))).await?;
    assert_eq!(first_ttl(&more), MINUTE);

    let draft = world.draft(&line).await?;
    let hold_ttl = Some(times(Duration::from_secs(9)));
    let request = HoldBookingRequest { booking_id: draft.booking_id, hold_ttl };
    let held = world.bookings.clone().hold_booking(request).await?.into_inner().booking.expect("is there");
    let held_at = held.update_time.as_ref().and_then(from_timestamp).expect("it was held just now");
    let expires = held.expire_time.as_ref().and_then(from_timestamp).expect("it has a deadline");
    assert_eq!(expires - held_at, Duration::from_secs(9));
    Ok(())
}

#[tokio::test]
async fn a_hold_without_a_time_of_its_own_lasts_a_minute_and_of_seats_ten() -> Outcome {
    let world = World::shared();
    let product = proto::catalog::Product { hold_ttl: None, ..system_tests::sample_product() };
    let meal = world.create_product(&fresh_id(), product).await?;
    let map = proto::catalog::SeatMap { display_name: "A theatre".to_owned(), ..Default::default() };
    let map = world.create_seat_map("", map, system_tests::sample_seats(&["P1"])).await?;

    assert_eq!(first_ttl(&world.hold(&[units(&meal, 1)]).await?), MINUTE);
    assert_eq!(first_ttl(&world.hold(&[seat(&map, "P1")]).await?), Duration::from_mins(10));
    Ok(())
}

#[tokio::test]
async fn the_same_product_on_two_lines_is_summed() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;

    let refused = world.hold(&[units(&meal, 6), units(&meal, 5)]).await;
    let said = system_tests::assert_refused(refused, tonic::Code::FailedPrecondition, "INSUFFICIENT_STOCK");
    assert_eq!(
        (&*said["product_id"], &*said["requested"], &*said["available"]),
        (&*meal.product_id, "11", "10")
    );
    assert_eq!(world.stock(&meal).await, Stock::new(10, 0, 0));

    let booking = world.hold(&[units(&meal, 6), units(&meal, 4)]).await?;
    assert_eq!(booking.total, Some(euros(12_500)));
    assert_eq!(world.stock(&meal).await, Stock::new(10, 10, 0));
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_later_price_does_not_touch_a_hold() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let before = world.hold(&[units(&meal, 2)]).await?;

    let update = proto::catalog::UpdateProductRequest {
        product: Some(proto::catalog::Product {
            price: Some(euros(9_900)),
            etag: String::new(),
            ..meal.clone()
        }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["price".to_owned()] }),
    };
    world.catalog.clone().update_product(update).await?;

    assert_eq!(world.pay(&before.booking_id).await?.total, Some(euros(2_500)));
    assert_eq!(world.hold(&[units(&meal, 1)]).await?.total, Some(euros(9_900)));
    Ok(())
}

#[tokio::test]
async fn a_booking_may_have_a_hundred_lines() -> Outcome {
    let world = World::shared();
    let labels: Vec<String> = (0..50).map(|n| format!("{n}A")).collect();
    let map = world.seat_map(&labels.iter().map(String::as_str).collect::<Vec<_>>(), MINUTE).await;
    let products = futures::future::join_all((0..50).map(|_| world.product(2, MINUTE))).await;
    let lines =
        products.iter().map(|product| units(product, 2)).chain(labels.iter().map(|label| seat(&map, label)));
    let booking = world.hold(&lines.collect::<Vec<_>>()).await?;
    assert_eq!((booking.lines.len(), booking.total), (100, Some(euros(50 * 2_500 + 50 * 10_000))));
    world.pay(&booking.booking_id).await?;
    world.await_seats(&map, &[SeatState::Sold; 50]).await;
    world.refund(&booking.booking_id).await?;
    world.await_seats(&map, &[SeatState::Free; 50]).await;
    for product in &products {
        assert_eq!(world.stock(product).await, Stock::new(2, 0, 0));
    }
    Ok(())
}

#[tokio::test]
async fn texts_are_measured_in_characters_and_ids_are_read_in_either_case() -> Outcome {
    let world = World::shared();
    let product = proto::catalog::Product {
        display_name: "é".repeat(200),
        description: "飯".repeat(1_000),
        price: Some(euros(0)),
        ..system_tests::sample_product()
    };
    let meal = world.create_product(&fresh_id().to_uppercase(), product.clone()).await?;
    assert_eq!((&meal.display_name, &meal.description), (&product.display_name, &product.description));
    assert_eq!(meal.product_id, meal.product_id.to_lowercase());

    let shouted = proto::catalog::Product { product_id: meal.product_id.to_uppercase(), ..meal.clone() };
    let request = CreateBookingRequest {
        booking_id: fresh_id().to_uppercase(),
        customer_id: "🍜".repeat(128),
        lines: vec![units(&shouted, 1)],
        hold: true,
        hold_ttl: None,
    };
    let booking = world.create(request.clone()).await?;
    assert_eq!((&booking.customer_id, booking.total.clone()), (&request.customer_id, Some(euros(0))));
    let lower = CreateBookingRequest {
        booking_id: booking.booking_id.clone(),
        lines: vec![units(&meal, 1)],
        ..request
    };
    assert_eq!(world.create(lower).await?.booking_id, booking.booking_id);
    assert_eq!(world.pay(&booking.booking_id.to_uppercase()).await?.state(), BookingState::Confirmed);
    world.await_stock(&meal, Stock::new(10, 0, 1)).await;
    Ok(())
}
