//! Expiry: every hold that nobody paid for comes back, on time and never early.

use std::time::Duration;

use api::time::from_timestamp;
use proto::{
    catalog::SeatState,
    reservation::{Booking, BookingState},
};
use stack::ServiceKind;
use system_tests::{
    Lag, Outcome, PATIENCE, Stock, World, assert_refused, eventually, seat, shared, units, when,
};
use tonic::Code;

/// How much later than its deadline a booking was found to have run out.
fn lateness(booking: &Booking) -> time::Duration {
    let time = |time: &Option<prost_types::Timestamp>| time.as_ref().and_then(from_timestamp);
    let expired = time(&booking.expired_time).expect("an expired booking says when");
    expired - time(&booking.expire_time).expect("it had a deadline")
}

#[tokio::test]
async fn a_hold_that_runs_out_gives_everything_back() -> Outcome {
    let world = World::shared();
    let meal = world.product(100, Duration::from_secs(1)).await;
    let map = world.seat_map(&["12A", "12B"], Duration::from_secs(10)).await;
    let booking = world.hold(&[units(&meal, 5), seat(&map, "12B")]).await?;
    assert_eq!(world.stock(&meal).await, Stock::new(100, 5, 0));

    world.await_stock(&meal, Stock::new(100, 0, 0)).await;
    world.await_seats(&map, &[SeatState::Free, SeatState::Free]).await;
    let record = world.record(&booking.booking_id).await;
    assert_eq!(record.path(), ["HELD", "EXPIRED"]);
    assert_eq!(record.booking.expire_time, booking.expire_time);
    assert!(lateness(&record.booking) >= time::Duration::ZERO);
    assert_eq!(world.get(&booking.booking_id).await?.remaining, Some(prost_types::Duration::default()));
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_short_hold_is_released_before_a_long_one_that_was_placed_first() -> Outcome {
    let world = World::shared();
    let slow = world.product(10, Duration::from_secs(90)).await;
    let quick = world.product(10, Duration::from_secs(1)).await;
    let long = world.hold(&[units(&slow, 1)]).await?;
    let short = world.hold(&[units(&quick, 1)]).await?;

    let expired = world.await_state(&short.booking_id, BookingState::Expired).await;
    world.await_stock(&quick, Stock::new(10, 0, 0)).await;
    let late = lateness(&expired);
    // Generous, for a busy machine; still far from what waiting behind the long one would be.
    assert!((time::Duration::ZERO..time::Duration::seconds(10)).contains(&late), "{late}");
    assert_eq!(world.get(&long.booking_id).await?.state(), BookingState::Held);
    assert_eq!(world.stock(&slow).await, Stock::new(10, 1, 0));
    Ok(())
}

#[tokio::test]
async fn holds_of_all_lengths_expire_and_none_before_its_deadline() -> Outcome {
    let world = World::shared();
    let mut bookings = Vec::new();
    for ms in [100, 150, 300, 500, 550, 700, 1_000, 1_050, 1_500, 2_100, 2_500] {
        let meal = world.product(5, Duration::from_millis(ms)).await;
        for _ in 0..3 {
            bookings.push((meal.clone(), world.hold(&[units(&meal, 1)]).await?));
        }
    }
    for (meal, booking) in bookings {
        let expired = world.await_state(&booking.booking_id, BookingState::Expired).await;
        let late = lateness(&expired);
        assert!(late >= time::Duration::ZERO, "released {late} after its deadline");
        world.await_stock(&meal, Stock::new(5, 0, 0)).await;
    }
    world.assert_rules_hold().await;
    Ok(())
}

#[tokio::test]
async fn a_storm_of_holds_that_expire_together_comes_back_as_a_whole() -> Outcome {
    const HOLDS: usize = 400;
    let world = World::shared();
    let meal = world.product(1_000, Duration::from_millis(1_500)).await;
    let line = [units(&meal, 2)];
    let holds = futures::future::try_join_all((0..HOLDS).map(|_| world.hold(&line))).await?;
    assert_eq!(holds.len(), HOLDS);
    world.await_stock(&meal, Stock::new(1_000, 0, 0)).await;
    for booking in holds.iter().step_by(40) {
        assert_eq!(world.get(&booking.booking_id).await?.state(), BookingState::Expired);
    }
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn what_was_paid_for_does_not_expire() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_millis(800)).await;
    let paid = world.hold(&[units(&meal, 2)]).await?;
    world.pay(&paid.booking_id).await?;
    let unpaid = world.hold(&[units(&meal, 3)]).await?;

    // The unpaid one was placed later: when it is gone, the deadline of the paid one has passed as well.
    world.await_state(&unpaid.booking_id, BookingState::Expired).await;
    world.await_stock(&meal, Stock::new(10, 0, 2)).await;
    assert_eq!(world.get(&paid.booking_id).await?.state(), BookingState::Confirmed);
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn an_abandoned_draft_expires() -> Outcome {
    let hasty = shared().add(ServiceKind::Reservation, &[("HOLDFAST_DRAFT_TTL_MS", "300")]);
    let hasty = hasty.expect("another replica starts");
    let world = World::shared().with_reservation(&hasty);
    let meal = world.product(10, Duration::from_mins(1)).await;
    let draft = world.draft(&[units(&meal, 2)]).await?;

    let expired = world.await_state(&draft.booking_id, BookingState::Expired).await;
    assert!(lateness(&Booking { expire_time: draft.expire_time, ..expired }) >= time::Duration::ZERO);
    assert_eq!(world.record(&draft.booking_id).await.path(), ["INITIATED", "EXPIRED"]);
    system_tests::assert_illegal(world.hold_draft(&draft.booking_id).await, "EXPIRED", "HELD");
    assert_eq!(world.stock(&meal).await, Stock::new(10, 0, 0));
    Ok(())
}

#[tokio::test]
async fn what_expired_can_be_sold_to_the_next_customer() -> Outcome {
    let world = World::shared();
    let map = world.seat_map(&["12A"], Duration::from_millis(600)).await;
    let first = world.hold(&[seat(&map, "12A")]).await?;
    assert_refused(world.hold(&[seat(&map, "12A")]).await, Code::FailedPrecondition, "SEAT_TAKEN");
    world.await_seats(&map, &[SeatState::Free]).await;

    let second = world.hold(&[seat(&map, "12A")]).await?;
    world.pay(&second.booking_id).await?;
    world.await_seats(&map, &[SeatState::Sold]).await;
    assert_eq!(world.get(&first.booking_id).await?.state(), BookingState::Expired);
    Ok(())
}

#[tokio::test]
async fn the_lag_of_every_expired_hold_is_measured() -> Outcome {
    let world = World::shared();
    let before = Lag::of(shared()).all();
    let meal = world.product(100, Duration::from_millis(700)).await;
    let line = [units(&meal, 1)];
    futures::future::try_join_all((0..25).map(|_| world.hold(&line))).await?;
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;
    eventually("the histogram has all of them", PATIENCE, async || {
        let counted = Lag::of(shared()).all() - before;
        when(counted >= 25, counted)
    })
    .await;
    let metrics = shared().expirer().get("/metrics").expect("it answers").body;
    assert!(metrics.contains("# TYPE holdfast_expiry_lag_seconds histogram"), "{metrics}");
    Ok(())
}
