//! ExtendHold: a later deadline, counted from the first one.

use std::time::Duration;

use api::time::from_timestamp;
use proto::reservation::{Booking, BookingState};
use stack::ServiceKind;
use system_tests::{Outcome, Stock, World, assert_refused, shared, units};
use time::OffsetDateTime;
use tonic::Code;

fn deadline(booking: &Booking) -> OffsetDateTime {
    booking.expire_time.as_ref().and_then(from_timestamp).expect("it has a deadline")
}

#[tokio::test]
async fn an_extended_hold_is_released_at_its_new_deadline_and_not_at_its_old_one() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_millis(900)).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let extended = world.extend(&booking.booking_id, Duration::from_millis(1_600)).await?;
    assert_eq!(deadline(&extended) - deadline(&booking), Duration::from_millis(1_600));

    // Another hold runs out after the old deadline: by then the timer of the old one has come, too.
    let other = world.product(10, Duration::from_millis(900)).await;
    let witness = world.hold(&[units(&other, 1)]).await?;
    world.await_state(&witness.booking_id, BookingState::Expired).await;
    let seen = world.get(&booking.booking_id).await?;
    if seen.remaining.is_some_and(|left| left.seconds > 0 || left.nanos > 0) {
        assert_eq!(seen.state(), BookingState::Held);
    }

    let expired = world.await_state(&booking.booking_id, BookingState::Expired).await;
    let expired_at = expired.expired_time.as_ref().and_then(from_timestamp).expect("it says when");
    assert!(expired_at >= deadline(&extended), "{expired:?}");
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    assert_eq!(world.record(&booking.booking_id).await.path(), ["HELD", "HELD", "EXPIRED"]);
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn the_same_extension_again_and_a_shorter_one_change_nothing() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_mins(1)).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    let id = &booking.booking_id;
    world.extend(id, Duration::from_mins(2)).await?;
    let before = world.record(id).await;

    world.extend(id, Duration::from_mins(2)).await?;
    world.extend(id, Duration::from_secs(30)).await?;
    assert_eq!(world.record(id).await, before);

    let longer = world.extend(id, Duration::from_mins(3)).await?;
    assert_eq!(deadline(&longer) - deadline(&booking), Duration::from_mins(3));
    Ok(())
}

#[tokio::test]
async fn a_hold_cannot_be_extended_beyond_its_longest_life() -> Outcome {
    let strict = shared().add(ServiceKind::Reservation, &[("HOLDFAST_MAX_HOLD_MS", "300000")]);
    let strict = strict.expect("another replica starts");
    let world = World::shared().with_reservation(&strict);
    let meal = world.product(10, Duration::from_mins(1)).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    let id = &booking.booking_id;
    let before = world.record(id).await;

    let refused = world.extend(id, Duration::from_millis(240_001)).await;
    let said = assert_refused(refused, Code::FailedPrecondition, "HOLD_LIFETIME_EXCEEDED");
    assert_eq!(&said["booking_id"], id);
    assert!(said.contains_key("latest_expire_time"), "{said:?}");
    assert_eq!(world.record(id).await, before);

    let longest = world.extend(id, Duration::from_mins(4)).await?;
    assert_eq!(deadline(&longest) - deadline(&booking), Duration::from_mins(4));
    Ok(())
}
