//! Payments: the whole life of a booking, payments that fail, the payment window.

use std::time::Duration;

use proto::{catalog::SeatState, reservation::BookingState};
use stack::ServiceKind;
use system_tests::{Outcome, Stock, World, assert_refused, fresh_id, seat, shared, units};
use tonic::Code;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_booking_is_held_paid_and_refunded_and_its_seat_is_free_again() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let map = world.seat_map(&["12A"], MINUTE).await;
    let lines = [seat(&map, "12A"), units(&meal, 2)];
    let booking = world.hold(&lines).await?;
    assert_refused(world.hold(&lines).await, Code::FailedPrecondition, "SEAT_TAKEN");

    let payment_id = fresh_id();
    let paid = world.pay_with(&booking.booking_id, &payment_id, true).await?;
    assert_eq!((paid.state(), &paid.payment_id), (BookingState::Confirmed, &payment_id));
    world.await_seats(&map, &[SeatState::Sold]).await;
    world.await_stock(&meal, Stock::new(10, 0, 2)).await;
    assert_refused(world.hold(&lines).await, Code::FailedPrecondition, "SEAT_TAKEN");

    let refund_id = fresh_id();
    let refunded = world.refund_with(&booking.booking_id, &refund_id).await?;
    assert_eq!((refunded.state(), &refunded.refund_id), (BookingState::Refunded, &refund_id));
    world.await_seats(&map, &[SeatState::Free]).await;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    let record = world.record(&booking.booking_id).await;
    assert_eq!(record.path(), ["HELD", "PAYMENT_PENDING", "CONFIRMED", "REFUNDED"]);
    let references: Vec<_> = record.history.iter().map(|entry| entry.reference_id.as_str()).collect();
    assert_eq!(references, ["", "", &payment_id, &refund_id]);

    assert_eq!(world.hold(&lines).await?.state(), BookingState::Held);
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_payment_in_two_steps_confirms_the_booking() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 4)]).await?;
    assert_eq!(world.start_payment(&booking.booking_id).await?.state(), BookingState::PaymentPending);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 4, 0));
    let paid = world.complete(&booking.booking_id, "", true).await?;
    // A payment without a name has the booking's.
    assert_eq!((paid.state(), &paid.payment_id), (BookingState::Confirmed, &booking.booking_id));
    world.await_stock(&meal, Stock::new(10, 0, 4)).await;
    Ok(())
}

#[tokio::test]
async fn a_cancelled_booking_gives_its_units_back() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let map = world.seat_map(&["12A"], MINUTE).await;
    let held = world.hold(&[units(&meal, 4), seat(&map, "12A")]).await?;
    let pending = world.hold(&[units(&meal, 3)]).await?;
    world.start_payment(&pending.booking_id).await?;
    let draft = world.draft(&[units(&meal, 2)]).await?;
    assert_eq!(world.stock(&meal).await, Stock::new(10, 7, 0));

    for id in [&held.booking_id, &pending.booking_id, &draft.booking_id] {
        let cancelled = world.cancel(id).await?;
        assert_eq!(cancelled.state(), BookingState::Cancelled);
    }
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.await_seats(&map, &[SeatState::Free]).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_failed_payment_leaves_the_hold_with_the_time_that_it_has() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    let id = &booking.booking_id;
    let pending = world.start_payment(id).await?;
    let failed = world.complete(id, &fresh_id(), false).await?;
    assert_eq!((failed.state(), failed.expire_time), (BookingState::Held, pending.expire_time));
    assert_eq!(world.stock(&meal).await, Stock::new(10, 1, 0));

    assert_eq!(world.pay_with(id, &fresh_id(), false).await?.state(), BookingState::Held);
    assert_eq!(world.pay_with(id, &fresh_id(), true).await?.state(), BookingState::Confirmed);
    let path = world.record(id).await.path();
    let (held, pending) = ("HELD", "PAYMENT_PENDING");
    assert_eq!(path, [held, pending, held, pending, held, pending, "CONFIRMED"]);
    world.await_stock(&meal, Stock::new(10, 0, 1)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn starting_a_payment_gives_its_window_once_and_never_shortens_the_hold() -> Outcome {
    let world = World::shared();
    let short = world.product(10, Duration::from_millis(1_500)).await;
    let booking = world.hold(&[units(&short, 1)]).await?;
    let id = &booking.booking_id;
    let first = booking.expire_time.expect("it has a deadline");
    let pending = world.start_payment(id).await?;
    let windowed = pending.expire_time.expect("it has a deadline");
    assert!(windowed.seconds > first.seconds + 60, "{windowed:?}");

    world.await_clock(first).await;
    assert_eq!(world.complete(id, &fresh_id(), false).await?.expire_time, Some(windowed));
    assert_eq!(world.start_payment(id).await?.expire_time, Some(windowed));
    assert_eq!(world.stock(&short).await, Stock::new(10, 1, 0));

    let long = world.product(10, Duration::from_hours(1)).await;
    let booking = world.hold(&[units(&long, 1)]).await?;
    assert_eq!(world.start_payment(&booking.booking_id).await?.expire_time, booking.expire_time);
    Ok(())
}

#[tokio::test]
async fn a_payment_that_never_ends_expires_with_its_window() -> Outcome {
    let hasty = shared().add(ServiceKind::Reservation, &[("HOLDFAST_PAYMENT_WINDOW_MS", "900")]);
    let hasty = hasty.expect("another replica starts");
    let world = World::shared().with_reservation(&hasty);
    let meal = world.product(10, Duration::from_millis(500)).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let pending = world.start_payment(&booking.booking_id).await?;

    let expired = world.await_state(&booking.booking_id, BookingState::Expired).await;
    assert_eq!(expired.expire_time, pending.expire_time);
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    let path = world.record(&booking.booking_id).await.path();
    assert_eq!(path, ["HELD", "PAYMENT_PENDING", "EXPIRED"]);
    Ok(())
}
