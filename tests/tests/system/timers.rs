//! Messages are hints: forged, early, late, repeated or unreadable, they do no harm and hold nothing up.

use std::time::Duration;

use amqp::{AmqpConfig, Broker, Message, Route, Timer};
use clap::Parser;
use futures::StreamExt as _;
use lapin::{
    BasicProperties, Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicRejectOptions},
    types::{AMQPValue, FieldTable},
};
use proto::{
    catalog::HoldKey,
    reservation::{Booking, BookingState},
};
use system_tests::{Outcome, PATIENCE, Stock, World, fresh_id, shared, units};
use time::OffsetDateTime;
use tokio_util::sync::CancellationToken;

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    amqp: AmqpConfig,
}

/// A connection like that of the services.
fn broker() -> Broker {
    let url = shared().rabbitmq().url();
    let config = Arguments::parse_from(["test", "--amqp-url", &url]).amqp;
    Broker::start("a test", &config, CancellationToken::new()).expect("the URL is valid")
}

fn timer(booking_id: &str, expires_at: OffsetDateTime) -> Timer {
    Timer { key: HoldKey { booking_id: booking_id.to_owned(), attempt: 1 }, expires_at }
}

fn deadline(booking: &Booking) -> OffsetDateTime {
    booking.expire_time.as_ref().and_then(api::time::from_timestamp).expect("it has a deadline")
}

#[tokio::test]
async fn forged_early_and_repeated_timers_release_nothing_before_its_deadline() -> Outcome {
    let world = World::shared();
    let meal = world.product(20, Duration::from_secs(2)).await;
    let sold = world.hold(&[units(&meal, 3)]).await?;
    world.pay(&sold.booking_id).await?;
    let held = world.hold(&[units(&meal, 2)]).await?;
    let cancelled = world.hold(&[units(&meal, 4)]).await?;
    world.cancel(&cancelled.booking_id).await?;
    world.await_stock(&meal, Stock::new(20, 2, 3)).await;

    let broker = broker();
    broker.up().await;
    let mut publisher = broker.publisher();
    let long_ago = OffsetDateTime::UNIX_EPOCH;
    let known = [&sold, &held, &cancelled];
    let messages: Vec<Message> = (0..20)
        .map(|_| {
            let mut timers: Vec<_> = known.iter().map(|one| timer(&one.booking_id, long_ago)).collect();
            timers.push(Timer { key: HoldKey { booking_id: fresh_id(), attempt: 7 }, expires_at: long_ago });
            Message::timer(Route::Due, &timers, None)
        })
        .collect();
    publisher.publish(&messages).await?;
    let far = timer(&held.booking_id, deadline(&held) + time::Duration::days(300));
    publisher.publish(&[Message::timer(Route::Due, &[far], None)]).await?;

    let expired = world.await_state(&held.booking_id, BookingState::Expired).await;
    let expired_at = expired.expired_time.as_ref().and_then(api::time::from_timestamp).expect("it says when");
    assert!(expired_at >= deadline(&held), "{expired:?}");
    world.await_stock(&meal, Stock::new(20, 0, 3)).await;
    assert_eq!(world.get(&sold.booking_id).await?.state(), BookingState::Confirmed);
    assert_eq!(world.record(&held.booking_id).await.path(), ["HELD", "EXPIRED"]);
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_message_that_nobody_can_read_is_parked_and_holds_nothing_up() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_millis(600)).await;
    let connection = Connection::connect(&shared().rabbitmq().url(), ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let poison = fresh_id();
    for n in 0..4 {
        let mut properties = BasicProperties::default().with_message_id(format!("{poison}.{n}").into());
        if n > 1 {
            // Dressed up as a timer.
            let mut headers = FieldTable::default();
            headers.insert("holdfast-version".into(), AMQPValue::LongInt(1));
            let kind = "holdfast.events.v1.HoldsPlaced".into();
            properties = properties.with_content_type("application/protobuf".into()).with_type(kind);
            properties = properties.with_headers(headers);
        }
        let body = format!("poison {n}").into_bytes();
        let (exchange, key) = ("holdfast.timers".into(), "holds.due".into());
        channel
            .basic_publish(exchange, key, BasicPublishOptions::default(), &body, properties)
            .await?
            .await?;
    }
    let booking = world.hold(&[units(&meal, 2)]).await?;
    world.await_state(&booking.booking_id, BookingState::Expired).await;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;

    let options = BasicConsumeOptions::default();
    let parked =
        channel.basic_consume("holds.parked".into(), "".into(), options, FieldTable::default()).await?;
    let mine = parked.filter_map(async |delivery| {
        let delivery = delivery.expect("the channel works");
        let id = delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
        if id.starts_with(&poison) {
            delivery.acker.ack(BasicAckOptions::default()).await.expect("the channel works");
            return Some(String::from_utf8_lossy(&delivery.data).into_owned());
        }
        // Another test's: back to where it was.
        delivery.acker.reject(BasicRejectOptions { requeue: true }).await.expect("the channel works");
        None
    });
    let found = tokio::time::timeout(PATIENCE, mine.take(4).collect::<Vec<_>>()).await;
    let mut found = found.expect("all of them are parked");
    found.sort();
    assert_eq!(found, ["poison 0", "poison 1", "poison 2", "poison 3"]);
    Ok(())
}
