//! Events for other services: each step of a booking is told on the topic exchange, at least once.

use std::time::Duration;

use proto::reservation::BookingState;
use stack::ServiceKind;
use system_tests::{News, Outcome, World, fresh_id, shared, units};

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_booking_that_is_paid_and_refunded_is_told_of_step_by_step() -> Outcome {
    let (world, news) = (World::shared(), News::listen(shared()).await);
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let (payment, refund) = (fresh_id(), fresh_id());
    world.pay_with(&booking.booking_id, &payment, true).await?;
    world.refund_with(&booking.booking_id, &refund).await?;

    let subjects = ["booking.held", "booking.confirmed", "booking.refunded"];
    let heard = news.await_subjects(&booking.booking_id, &subjects).await;
    let of = |subject: &str| heard.iter().find(|heard| heard.subject == subject).expect("it was heard");
    let (held, confirmed, refunded) = (of(subjects[0]), of(subjects[1]), of(subjects[2]));
    for one in &heard {
        assert_eq!(one.event.customer_id, booking.customer_id);
        assert!(one.event.event_time.is_some(), "{one:?}");
    }
    assert_eq!((held.event.expire_time, held.event.reference_id.as_str()), (booking.expire_time, ""));
    assert_eq!((confirmed.event.expire_time, &confirmed.event.reference_id), (None, &payment));
    assert_eq!((refunded.event.expire_time, &refunded.event.reference_id), (None, &refund));
    Ok(())
}

#[tokio::test]
async fn expiry_and_cancellation_are_told_of() -> Outcome {
    let (world, news) = (World::shared(), News::listen(shared()).await);
    let quick = world.product(10, Duration::from_millis(300)).await;
    let slow = world.product(10, MINUTE).await;
    let expired = world.hold(&[units(&quick, 1)]).await?;
    let cancelled = world.hold(&[units(&slow, 1)]).await?;
    world.cancel(&cancelled.booking_id).await?;
    let draft = world.draft(&[units(&slow, 1)]).await?;
    world.hold_draft(&draft.booking_id).await?;

    world.await_state(&expired.booking_id, BookingState::Expired).await;
    news.await_subjects(&expired.booking_id, &["booking.held", "booking.expired"]).await;
    news.await_subjects(&cancelled.booking_id, &["booking.held", "booking.cancelled"]).await;
    news.await_subjects(&draft.booking_id, &["booking.held"]).await;
    Ok(())
}

#[tokio::test]
async fn an_event_carries_the_attributes_of_cloudevents() -> Outcome {
    let (world, news) = (World::shared(), News::listen(shared()).await);
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let heard = news.await_subjects(&booking.booking_id, &["booking.held"]).await;
    assert_eq!(heard[0].header("cloudEvents:specversion"), "1.0");
    assert_eq!(heard[0].header("cloudEvents:type"), "booking.held");
    for name in ["cloudEvents:id", "cloudEvents:source", "cloudEvents:time"] {
        assert!(!heard[0].header(name).is_empty(), "{name}: {heard:?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_event_carries_the_trace_of_its_cause_where_traces_are_exported() -> Outcome {
    // Nobody listens there: spans are lost, and nothing else.
    let traced = shared().add(ServiceKind::Reservation, &[("HOLDFAST_OTLP_ENDPOINT", "http://127.0.0.1:9")]);
    let traced = traced.expect("another replica starts");
    let (world, news) = (World::shared().with_reservation(&traced), News::listen(shared()).await);
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let heard = news.await_subjects(&booking.booking_id, &["booking.held"]).await;
    let traceparent = heard[0].header("traceparent");
    let lengths: Vec<usize> = traceparent.split('-').map(str::len).collect();
    assert_eq!(lengths, [2, 32, 16, 2], "no W3C trace context: {heard:?}");
    Ok(())
}

#[tokio::test]
async fn a_hundred_bookings_at_once_are_each_told_of() -> Outcome {
    let (world, news) = (World::shared(), News::listen(shared()).await);
    let meal = world.product(100, MINUTE).await;
    let line = [units(&meal, 1)];
    let bookings = futures::future::try_join_all((0..100).map(|_| world.hold(&line))).await?;
    futures::future::try_join_all(bookings.iter().map(|booking| world.pay(&booking.booking_id))).await?;
    for booking in bookings {
        let heard = news.await_subjects(&booking.booking_id, &["booking.held", "booking.confirmed"]).await;
        for one in heard {
            assert_eq!(one.event.customer_id, booking.customer_id);
        }
    }
    Ok(())
}
