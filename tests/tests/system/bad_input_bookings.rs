//! Requests to reservation with one bad field each: INVALID_ARGUMENT naming that field, and nothing happens.

use std::time::Duration;

use proto::{
    catalog::{ProductItem, SeatItem},
    reservation::{
        CancelBookingRequest, CompletePaymentRequest, CreateBookingRequest, ExtendHoldRequest,
        GetBookingRequest, HoldBookingRequest, Line, ListBookingHistoryRequest, ListBookingsRequest,
        PayBookingRequest, RefundBookingRequest, ResolveHoldsRequest, StartPaymentRequest, line::Item,
    },
};
use system_tests::{Outcome, Stock, World, assert_bad_field, customer, euros, fresh_id, seat, times, units};

/// Durations that are no hold time, nor an extension except where noted.
fn bad_durations() -> Vec<prost_types::Duration> {
    [
        (0, 0),
        (-1, 0),
        (86_400, 1_000_000),
        (1, 1),
        (0, -1),
        (1, 2_000_000_000),
        (i64::MAX, 0),
        (i64::MIN, i32::MIN),
    ]
    .map(|(seconds, nanos)| prost_types::Duration { seconds, nanos })
    .into()
}

/// The item of the first line.
fn product(request: &mut CreateBookingRequest) -> &mut ProductItem {
    match &mut request.lines[0].item {
        Some(Item::Product(product)) => product,
        other => panic!("{other:?} is no product"),
    }
}

/// The item of the second line.
fn second(request: &mut CreateBookingRequest) -> &mut SeatItem {
    match &mut request.lines[1].item {
        Some(Item::Seat(seat)) => seat,
        other => panic!("{other:?} is no seat"),
    }
}

#[tokio::test]
async fn a_new_booking_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_mins(1)).await;
    let map = world.seat_map(&["1A"], Duration::from_mins(1)).await;
    let good = CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer(),
        lines: vec![units(&meal, 1), seat(&map, "1A")],
        hold: true,
        hold_ttl: Some(times(Duration::from_secs(5))),
    };
    let mut cases = cases!(good;
        "booking_id": |r| r.booking_id = "12".to_owned(),
        "booking_id": |r| r.booking_id = fresh_id().replace('-', ""),
        "customer_id": |r| r.customer_id.clear(),
        "customer_id": |r| r.customer_id = "c".repeat(129),
        "customer_id": |r| r.customer_id = "c\0".to_owned(),
        "lines": |r| r.lines.clear(),
        "lines": |r| r.lines = vec![units(&meal, 1); 101],
        "lines[1].item": |r| r.lines[1] = Line::default(),
        "lines[0].unit_price": |r| r.lines[0].unit_price = Some(euros(1)),
        "lines[0].product.product_id": |r| product(&mut r).product_id.clear(),
        "lines[0].product.product_id": |r| product(&mut r).product_id = "a meal".to_owned(),
        "lines[0].product.quantity": |r| product(&mut r).quantity = 0,
        "lines[0].product.quantity": |r| product(&mut r).quantity = -1,
        "lines[0].product.quantity": |r| product(&mut r).quantity = 1_000_001,
        "lines[0].product.quantity": |r| product(&mut r).quantity = i64::MIN,
        "lines[1].seat.seat_map_id": |r| second(&mut r).seat_map_id = "a flight".to_owned(),
        "lines[1].seat.label": |r| second(&mut r).label.clear(),
        "lines[1].seat.label": |r| second(&mut r).label = "1".repeat(17),
        "lines[2].seat": |r| r.lines.push(seat(&map, "1A")),
        "hold_ttl": |r| r.hold = false,
        "hold_ttl": |r| r.hold_ttl = Some(times(Duration::from_millis(99))),
    );
    for hold_ttl in bad_durations() {
        cases.push(("hold_ttl", CreateBookingRequest { hold_ttl: Some(hold_ttl), ..good.clone() }));
    }
    for (field, request) in cases {
        assert_bad_field(world.create(request).await, field);
    }
    assert_eq!(world.stock(&meal).await, Stock::new(10, 0, 0));
    assert_eq!(world.get_seat_map(&map.seat_map_id).await?.free_seats, 1);
    system_tests::assert_refused(
        world.get(&good.booking_id).await,
        tonic::Code::NotFound,
        "BOOKING_NOT_FOUND",
    );
    world.create(good).await?;
    Ok(())
}

#[tokio::test]
async fn every_bad_field_of_a_request_is_named_at_once() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_mins(1)).await;
    let request = CreateBookingRequest {
        booking_id: "x".to_owned(),
        customer_id: String::new(),
        lines: vec![units(&meal, 0), Line::default()],
        hold: false,
        hold_ttl: Some(times(Duration::ZERO)),
    };
    let status = world.create(request).await.expect_err("it has bad fields");
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
    let mut fields = api::fields_of(&status);
    fields.dedup();
    for field in ["booking_id", "customer_id", "lines[0].product.quantity", "lines[1].item", "hold_ttl"] {
        assert!(fields.iter().any(|named| named == field), "{field}: {fields:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_change_of_a_booking_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_mins(1)).await;
    let booking_id = world.hold(&[units(&meal, 1)]).await?.booking_id;
    let before = world.record(&booking_id).await;
    let mut client = world.bookings.clone();

    for bad in ["", "12", "not-a-booking-id-at-all-but-36-chars-"] {
        let id = || bad.to_owned();
        let hold = HoldBookingRequest { booking_id: id(), hold_ttl: None };
        assert_bad_field(client.hold_booking(hold).await, "booking_id");
        let extend = ExtendHoldRequest { booking_id: id(), extension: Some(times(Duration::from_secs(1))) };
        assert_bad_field(client.extend_hold(extend).await, "booking_id");
        assert_bad_field(client.start_payment(StartPaymentRequest { booking_id: id() }).await, "booking_id");
        let complete = CompletePaymentRequest { booking_id: id(), ..Default::default() };
        assert_bad_field(client.complete_payment(complete).await, "booking_id");
        let pay = PayBookingRequest { booking_id: id(), ..Default::default() };
        assert_bad_field(client.pay_booking(pay).await, "booking_id");
        assert_bad_field(
            client.cancel_booking(CancelBookingRequest { booking_id: id() }).await,
            "booking_id",
        );
        let refund = RefundBookingRequest { booking_id: id(), ..Default::default() };
        assert_bad_field(client.refund_booking(refund).await, "booking_id");
        assert_bad_field(client.get_booking(GetBookingRequest { booking_id: id() }).await, "booking_id");
    }
    for success in [true, false] {
        assert_bad_field(world.complete(&booking_id, "cash", success).await, "payment_id");
        assert_bad_field(world.pay_with(&booking_id, "cash", success).await, "payment_id");
    }
    assert_bad_field(world.refund_with(&booking_id, "cash").await, "refund_id");
    for duration in bad_durations() {
        let request = HoldBookingRequest { booking_id: booking_id.clone(), hold_ttl: Some(duration) };
        assert_bad_field(client.hold_booking(request).await, "hold_ttl");
        let request = ExtendHoldRequest { booking_id: booking_id.clone(), extension: Some(duration) };
        assert_bad_field(client.extend_hold(request).await, "extension");
    }
    let request = ExtendHoldRequest { booking_id: booking_id.clone(), extension: None };
    assert_bad_field(client.extend_hold(request).await, "extension");
    assert_eq!(world.record(&booking_id).await, before);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 1, 0));
    Ok(())
}

#[tokio::test]
async fn a_listing_of_bookings_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let mut client = world.bookings.clone();
    let listing = cases!(ListBookingsRequest::default();
        "customer_id": |r| r.customer_id = "c".repeat(129),
        "customer_id": |r| r.customer_id = "\0".to_owned(),
        "state": |r| r.state = 99,
        "page_size": |r| r.page_size = -1,
        "page_token": |r| r.page_token = "the next one".to_owned(),
        "page_token": |r| r.page_token = "AAAAAAAAAAAAAAAA".to_owned(),
    );
    for (field, request) in listing {
        assert_bad_field(client.list_bookings(request).await, field);
    }
    let history = cases!(ListBookingHistoryRequest { booking_id: fresh_id(), ..Default::default() };
        "booking_id": |r| r.booking_id.clear(),
        "page_size": |r| r.page_size = i32::MIN,
        "page_token": |r| r.page_token = "2".to_owned(),
    );
    for (field, request) in history {
        assert_bad_field(client.list_booking_history(request).await, field);
    }
    Ok(())
}

#[tokio::test]
async fn a_question_for_verdicts_with_one_bad_field_is_refused_naming_it() -> Outcome {
    let world = World::shared();
    let mut client = world.settlement.clone();
    let good =
        ResolveHoldsRequest { keys: vec![proto::catalog::HoldKey { booking_id: fresh_id(), attempt: 1 }; 2] };
    let cases = cases!(good;
        "keys[1].booking_id": |r| r.keys[1].booking_id = "x".to_owned(),
        "keys[0].attempt": |r| r.keys[0].attempt = 0,
        "keys": |r| r.keys = vec![r.keys[0].clone(); 10_001],
    );
    for (field, request) in cases {
        assert_bad_field(client.resolve_holds(request).await, field);
    }
    let drafts = proto::reservation::ExpireDraftsRequest { limit: -1 };
    assert_bad_field(client.expire_drafts(drafts).await, "limit");
    Ok(())
}
