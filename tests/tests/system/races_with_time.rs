//! Races around the deadline: each booking ends one way, with its units where that way puts them.

use std::time::Duration;

use api::time::from_timestamp;
use futures::future::join_all;
use proto::{
    catalog::Product,
    reservation::{Booking, BookingState},
};
use system_tests::{Outcome, PATIENCE, Stock, World, assert_refused, eventually, units, when};
use time::OffsetDateTime;
use tokio::time::sleep;
use tonic::{Code, Status};

/// Holds a unit and does something to the booking so many milliseconds after its deadline (before it, if negative).
/// PostgreSQL runs on this machine: its clock is ours.
async fn at_the_deadline(
    world: &World,
    product: &Product,
    after_ms: i64,
    act: impl AsyncFn(&str) -> Result<Booking, Status>,
) -> (String, Result<Booking, Status>) {
    let booking = world.hold(&[units(product, 1)]).await.expect("there are enough");
    let deadline = booking.expire_time.as_ref().and_then(from_timestamp).expect("it is open");
    let left = deadline + time::Duration::milliseconds(after_ms) - OffsetDateTime::now_utc();
    sleep(left.try_into().unwrap_or_default()).await;
    let answer = act(&booking.booking_id).await;
    (booking.booking_id, answer)
}

/// Waits until a booking is no longer open.
async fn end_of(world: &World, booking_id: &str) -> Booking {
    eventually("the booking has come to its end", PATIENCE, async || {
        let booking = world.get(booking_id).await.expect("it is there");
        let open = [BookingState::Held, BookingState::PaymentPending].contains(&booking.state());
        when(!open, booking)
    })
    .await
}

#[tokio::test]
async fn two_hundred_payments_around_the_deadline_each_confirm_or_expire() -> Outcome {
    let world = World::shared();
    let meal = world.product(200, Duration::from_millis(600)).await;
    // From well before to just after: a call takes its time to arrive.
    let offsets = -110..90;
    let races = offsets.map(|ms| at_the_deadline(&world, &meal, ms, async |id| world.pay(id).await));
    let mut confirmed = 0;
    for (id, answer) in join_all(races).await {
        let booking = end_of(&world, &id).await;
        match answer {
            Ok(paid) => {
                assert_eq!(
                    (paid.state(), booking.state()),
                    (BookingState::Confirmed, BookingState::Confirmed)
                );
                let step = world.history(&id).await?.pop().expect("it has steps");
                let time = step.time.as_ref().and_then(from_timestamp);
                assert!(time < step.expire_time.as_ref().and_then(from_timestamp), "{step:?}");
                confirmed += 1;
            }
            refused => {
                assert_refused(refused, Code::FailedPrecondition, "HOLD_EXPIRED");
                assert_eq!(booking.state(), BookingState::Expired);
            }
        }
    }
    world.await_stock(&meal, Stock::new(200, 0, confirmed)).await;
    world.assert_books_balance(&meal).await;
    world.assert_rules_hold().await;
    Ok(())
}

#[tokio::test]
async fn cancels_around_the_deadline_each_cancel_or_expire() -> Outcome {
    let world = World::shared();
    let meal = world.product(100, Duration::from_millis(500)).await;
    let races = (-30..30).map(|ms| at_the_deadline(&world, &meal, ms, async |id| world.cancel(id).await));
    for (id, answer) in join_all(races).await {
        let booking = end_of(&world, &id).await;
        match answer {
            Ok(_) => assert_eq!(booking.state(), BookingState::Cancelled),
            refused => {
                system_tests::assert_illegal(refused, "EXPIRED", "CANCELLED");
                assert_eq!(booking.state(), BookingState::Expired);
            }
        }
    }
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn extensions_around_the_deadline_each_extend_or_come_too_late() -> Outcome {
    let world = World::shared();
    let meal = world.product(100, Duration::from_millis(500)).await;
    let longer = Duration::from_mins(5);
    let races =
        (-30..30).map(|ms| at_the_deadline(&world, &meal, ms, async |id| world.extend(id, longer).await));
    let mut held = 0;
    for (id, answer) in join_all(races).await {
        match answer {
            Ok(_) => {
                assert_eq!(world.get(&id).await?.state(), BookingState::Held);
                held += 1;
            }
            refused => {
                system_tests::assert_illegal(refused, "EXPIRED", "HELD");
                assert_eq!(world.get(&id).await?.state(), BookingState::Expired);
            }
        }
    }
    world.await_stock(&meal, Stock::new(100, held, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_payment_against_a_cancellation_has_one_winner() -> Outcome {
    let world = World::shared();
    let other = World::shared_by_others();
    let meal = world.product(100, Duration::from_mins(1)).await;
    let mut confirmed = 0;
    for n in 0..40 {
        let booking = world.hold(&[units(&meal, 1)]).await?;
        let id = &booking.booking_id;
        let (paid, cancelled) = if n % 2 == 0 {
            tokio::join!(world.pay(id), other.cancel(id))
        } else {
            let (cancelled, paid) = tokio::join!(world.cancel(id), other.pay(id));
            (paid, cancelled)
        };
        let state = world.get(id).await?.state();
        match (paid, cancelled) {
            (Ok(_), refused @ Err(_)) => {
                system_tests::assert_illegal(refused, "CONFIRMED", "CANCELLED");
                assert_eq!(state, BookingState::Confirmed);
                confirmed += 1;
            }
            (refused @ Err(_), Ok(_)) => {
                assert_refused(refused, Code::FailedPrecondition, "BOOKING_CANCELLED");
                assert_eq!(state, BookingState::Cancelled);
            }
            both => panic!("both or neither: {both:?}"),
        }
    }
    world.await_stock(&meal, Stock::new(100, 0, confirmed)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}
