//! Money that comes too late is never lost: it is recorded, refused, and its refund is announced.

use std::time::Duration;

use proto::{catalog::Product, reservation::BookingState};
use sqlx::Row as _;
use system_tests::{News, Outcome, Stock, World, assert_refused, fresh_id, shared, units};
use tonic::{Code, Status};
use uuid::Uuid;

/// What became of a payment, by reservation's own books.
async fn outcome_of(world: &World, payment_id: &str) -> Option<String> {
    let id = Uuid::try_parse(payment_id).expect("a payment's id is a UUID");
    let query = sqlx::query("select outcome from payments where payment_id = $1").bind(id);
    let row = query.fetch_optional(&mut world.reservation_database().await).await;
    row.expect("payments can be read").map(|row| row.get("outcome"))
}

/// Reports a payment twice; it is refused twice for this reason, recorded once, and changes nothing.
async fn assert_refund_due(world: &World, news: &News, id: &str, reason: &str, heard: &[&str]) -> Outcome {
    let before = world.record(id).await;
    let payment_id = fresh_id();
    for _ in 0..2 {
        let said =
            assert_refused(world.pay_with(id, &payment_id, true).await, Code::FailedPrecondition, reason);
        assert_eq!(said["booking_id"], id);
        let said =
            assert_refused(world.complete(id, &payment_id, true).await, Code::FailedPrecondition, reason);
        assert_eq!(said["booking_id"], id);
    }
    assert_eq!(world.record(id).await, before);
    assert_eq!(outcome_of(world, &payment_id).await.as_deref(), Some("REFUND_DUE"));
    let heard = news.await_subjects(id, heard).await;
    let due = heard.iter().find(|heard| heard.subject == "payment.refund_due").expect("it was waited for");
    assert_eq!(due.event.reference_id, payment_id);
    assert_eq!(due.event.customer_id, before.booking.customer_id);
    Ok(())
}

async fn shop(hold_ttl: Duration) -> (World, News, Product) {
    let world = World::shared();
    let news = News::listen(shared()).await;
    let meal = world.product(10, hold_ttl).await;
    (world, news, meal)
}

#[tokio::test]
async fn a_payment_after_the_deadline_is_to_be_refunded() -> Outcome {
    let (world, news, meal) = shop(Duration::from_millis(300)).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    world.await_state(&booking.booking_id, BookingState::Expired).await;
    let heard = ["booking.held", "booking.expired", "payment.refund_due"];
    assert_refund_due(&world, &news, &booking.booking_id, "HOLD_EXPIRED", &heard).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    Ok(())
}

#[tokio::test]
async fn a_payment_after_the_cancellation_is_to_be_refunded() -> Outcome {
    let (world, news, meal) = shop(Duration::from_mins(1)).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    world.cancel(&booking.booking_id).await?;
    let heard = ["booking.held", "booking.cancelled", "payment.refund_due"];
    assert_refund_due(&world, &news, &booking.booking_id, "BOOKING_CANCELLED", &heard).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    Ok(())
}

#[tokio::test]
async fn a_second_payment_is_to_be_refunded() -> Outcome {
    let (world, news, meal) = shop(Duration::from_mins(1)).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let first = fresh_id();
    world.pay_with(&booking.booking_id, &first, true).await?;
    let heard = ["booking.held", "booking.confirmed", "payment.refund_due"];
    assert_refund_due(&world, &news, &booking.booking_id, "ALREADY_PAID", &heard).await?;
    assert_eq!(outcome_of(&world, &first).await.as_deref(), Some("ACCEPTED"));
    world.await_stock(&meal, Stock::new(10, 0, 2)).await;

    world.refund(&booking.booking_id).await?;
    let late = world.pay_with(&booking.booking_id, &fresh_id(), true).await;
    assert_refused(late, Code::FailedPrecondition, "ALREADY_PAID");
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    Ok(())
}

#[tokio::test]
async fn a_payment_that_took_no_money_after_the_deadline_is_only_noted() -> Outcome {
    let (world, news, meal) = shop(Duration::from_millis(300)).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let id = &booking.booking_id;
    world.await_state(id, BookingState::Expired).await;
    let payment_id = fresh_id();
    assert_eq!(world.complete(id, &payment_id, false).await?.state(), BookingState::Expired);
    assert_eq!(outcome_of(&world, &payment_id).await.as_deref(), Some("FAILED"));
    news.await_subjects(id, &["booking.held", "booking.expired"]).await;
    Ok(())
}

#[tokio::test]
async fn a_payment_whose_hold_ran_out_unnoticed_finds_it_expired() -> Outcome {
    // The deadline counts, not the timer: the first to look after it ends the booking.
    let (world, _news, meal) = shop(Duration::from_millis(400)).await;
    let line = [units(&meal, 1)];
    let held = futures::future::try_join_all((0..10).map(|_| world.hold(&line))).await?;
    let last =
        held.iter().filter_map(|booking| booking.expire_time).max_by_key(|time| (time.seconds, time.nanos));
    world.await_clock(last.expect("there are some")).await;
    let pays = held.iter().map(|booking| world.pay(&booking.booking_id));
    let answers: Vec<Result<_, Status>> = futures::future::join_all(pays).await;
    for answer in answers {
        assert_refused(answer, Code::FailedPrecondition, "HOLD_EXPIRED");
    }
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}
