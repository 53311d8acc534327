//! Blind repeats of calls on a booking: each succeeds and changes nothing.

use std::time::Duration;

use proto::reservation::{Booking, BookingState};
use system_tests::{News, Outcome, Stock, World, fresh_id, shared, state_of, units};
use tonic::Status;

const MINUTE: Duration = Duration::from_mins(1);

/// Calls once and then twice more: the repeats answer with the same booking and change nothing about it.
async fn thrice(
    world: &World,
    booking_id: &str,
    state: &str,
    call: impl AsyncFn() -> Result<Booking, Status>,
) -> Outcome {
    assert_eq!(state_of(&call().await?), state);
    let after = world.record(booking_id).await;
    for _ in 0..2 {
        let again = call().await?;
        assert_eq!(Booking { remaining: None, ..again }, after.booking);
        assert_eq!(world.record(booking_id).await, after);
    }
    Ok(())
}

#[tokio::test]
async fn every_step_of_a_life_can_be_repeated() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let draft = world.draft(&[units(&meal, 2)]).await?;
    let id = draft.booking_id.as_str();
    let (failed, paid, refund) = (fresh_id(), fresh_id(), fresh_id());

    thrice(&world, id, "HELD", async || world.hold_draft(id).await).await?;
    thrice(&world, id, "HELD", async || world.extend(id, MINUTE).await).await?;
    thrice(&world, id, "PAYMENT_PENDING", async || world.start_payment(id).await).await?;
    thrice(&world, id, "HELD", async || world.complete(id, &failed, false).await).await?;
    thrice(&world, id, "PAYMENT_PENDING", async || world.start_payment(id).await).await?;
    thrice(&world, id, "CONFIRMED", async || world.complete(id, &paid, true).await).await?;
    thrice(&world, id, "CONFIRMED", async || world.pay_with(id, &paid, true).await).await?;
    world.await_stock(&meal, Stock::new(10, 0, 2)).await;
    thrice(&world, id, "REFUNDED", async || world.refund_with(id, &refund).await).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    // What was true once is answered as it was then, from where the booking is now.
    thrice(&world, id, "REFUNDED", async || world.complete(id, &paid, true).await).await?;
    thrice(&world, id, "REFUNDED", async || world.complete(id, &failed, false).await).await?;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_payment_and_a_refund_without_names_can_be_repeated() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let id = booking.booking_id.as_str();
    thrice(&world, id, "CONFIRMED", async || world.pay(id).await).await?;
    world.await_stock(&meal, Stock::new(10, 0, 2)).await;
    thrice(&world, id, "REFUNDED", async || world.refund(id).await).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_payment_that_failed_in_one_go_can_be_repeated() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let id = booking.booking_id.as_str();
    let failed = fresh_id();
    thrice(&world, id, "HELD", async || world.pay_with(id, &failed, false).await).await?;
    assert_eq!(world.record(id).await.path(), ["HELD", "PAYMENT_PENDING", "HELD"]);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 2, 0));
    Ok(())
}

#[tokio::test]
async fn a_cancellation_can_be_repeated_in_every_state_that_has_one() -> Outcome {
    let world = World::shared();
    let news = News::listen(shared()).await;
    let meal = world.product(10, MINUTE).await;
    let lines = [units(&meal, 2)];
    let draft = world.draft(&lines).await?;
    let held = world.hold(&lines).await?;
    let pending = world.hold(&lines).await?;
    world.start_payment(&pending.booking_id).await?;
    for booking in [&draft, &held, &pending] {
        let id = booking.booking_id.as_str();
        thrice(&world, id, "CANCELLED", async || world.cancel(id).await).await?;
    }
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    news.await_subjects(&draft.booking_id, &["booking.cancelled"]).await;
    for booking in [held, pending] {
        news.await_subjects(&booking.booking_id, &["booking.held", "booking.cancelled"]).await;
    }
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_creation_can_be_repeated_whatever_became_of_the_booking() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_secs(1)).await;
    let request = |hold| proto::reservation::CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: system_tests::customer(),
        lines: vec![units(&meal, 2)],
        hold,
        hold_ttl: None,
    };
    let (draft, held) = (request(false), request(true));
    thrice(&world, &draft.booking_id, "INITIATED", async || world.create(draft.clone()).await).await?;
    thrice(&world, &held.booking_id, "HELD", async || world.create(held.clone()).await).await?;
    assert_eq!(world.stock(&meal).await.held, 2);

    // The hold was asked for and granted: that it ran out since is told, and no other one is placed.
    world.await_state(&held.booking_id, BookingState::Expired).await;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    thrice(&world, &held.booking_id, "EXPIRED", async || world.create(held.clone()).await).await?;
    assert_eq!(world.stock(&meal).await, Stock::new(10, 0, 0));

    // A draft's creation asked again with a hold takes the units.
    let with_hold = proto::reservation::CreateBookingRequest { hold: true, ..draft.clone() };
    thrice(&world, &draft.booking_id, "HELD", async || world.create(with_hold.clone()).await).await?;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_creation_repeated_with_a_hold_after_the_draft_was_cancelled_takes_nothing() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let draft = proto::reservation::CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: system_tests::customer(),
        lines: vec![units(&meal, 2)],
        hold: false,
        hold_ttl: None,
    };
    world.create(draft.clone()).await?;
    world.cancel(&draft.booking_id).await?;
    let with_hold = proto::reservation::CreateBookingRequest { hold: true, ..draft.clone() };
    thrice(&world, &draft.booking_id, "CANCELLED", async || world.create(with_hold.clone()).await).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}
