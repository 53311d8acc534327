//! Where messages go, and that none is lost on the way.

use std::time::Duration;

use amqp::{CloudEvent, Error, LEAD, Message, Poison, Route, topology};
use lapin::{
    BasicProperties,
    options::{BasicPublishOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::bench::{Bench, PATIENCE, timer};

const SECOND: Duration = Duration::from_secs(1);

/// A hold of 2 s and then one of 1.1 s: the short one comes back first, and neither earlier than it may. How much of the lead is
/// left then is the machine's affair.
#[tokio::test(flavor = "multi_thread")]
async fn timers_come_back_in_the_order_of_their_deadlines_and_no_earlier_than_the_lead() {
    let bench = Bench::new().await;
    let (long, short) = (timer(1, 2 * SECOND), timer(2, Duration::from_millis(1_100)));
    let messages = [(2 * SECOND, &long), (Duration::from_millis(1_100), &short)].map(|(left, timer)| {
        Message::timer(bench.broker.lanes().choose(left), std::slice::from_ref(timer), Some("a trace"))
    });
    bench.broker.publisher().publish(&messages).await.unwrap();
    let mut deliveries = bench.broker.consume(topology::DUE, 10).await.unwrap();
    for expected in [short, long] {
        let delivery = timeout(PATIENCE, deliveries.next()).await.unwrap().unwrap();
        let early = expected.expires_at - OffsetDateTime::now_utc();
        assert_eq!(delivery.timers(), Ok(vec![expected]));
        assert_eq!(delivery.traceparent(), Some("a trace"));
        assert!(early <= LEAD, "{early} early");
        delivery.ack().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_rejected_goes_to_the_parking_queue() {
    let bench = Bench::new().await;
    bench.broker.publisher().publish(&[Message::timer(Route::Due, &[timer(3, SECOND)], None)]).await.unwrap();
    let mut deliveries = bench.broker.consume(topology::DUE, 10).await.unwrap();
    deliveries.next().await.unwrap().park().await;
    let parked = bench.get(topology::PARKED).await;
    assert!(parked.properties.headers().as_ref().unwrap().contains_key("x-death"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_another_kind_is_poison() {
    let bench = Bench::new().await;
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let publish = bench.raw.basic_publish("".into(), topology::DUE.into(), options, b"junk", properties);
    publish.await.unwrap();
    let mut deliveries = bench.broker.consume(topology::DUE, 10).await.unwrap();
    let delivery = deliveries.next().await.unwrap();
    assert!(matches!(delivery.timers(), Err(Poison::Foreign { .. })));
    delivery.park().await;
    assert_eq!(bench.get(topology::PARKED).await.data, b"junk");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_acknowledged_comes_again_until_it_is_put_aside() {
    let bench = Bench::new().await;
    bench.broker.publisher().publish(&[Message::timer(Route::Due, &[timer(4, SECOND)], None)]).await.unwrap();
    for time in 0..=20 {
        let mut deliveries = bench.broker.consume(topology::DUE, 10).await.unwrap();
        let delivery = timeout(PATIENCE, deliveries.next()).await.unwrap().unwrap();
        assert_eq!(delivery.is_redelivered(), time > 0);
    }
    bench.get(topology::PARKED).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_messages_than_asked_for_are_in_hand() {
    let bench = Bench::new().await;
    let messages = [5, 6, 7].map(|number| Message::timer(Route::Due, &[timer(number, SECOND)], None));
    bench.broker.publisher().publish(&messages).await.unwrap();
    let mut deliveries = bench.broker.consume(topology::DUE, 2).await.unwrap();
    let in_hand = [deliveries.next().await.unwrap(), deliveries.next().await.unwrap()];
    assert!(timeout(SECOND / 2, deliveries.next()).await.is_err());
    let [first, _second] = in_hand;
    first.ack().await;
    assert!(timeout(PATIENCE, deliveries.next()).await.unwrap().is_some());
}

/// A timer that reaches no queue is not delivered; what somebody deleted is there again for the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_without_a_queue_is_an_error_and_its_lane_comes_back() {
    let bench = Bench::new().await;
    let mut publisher = bench.broker.publisher();
    let lane = Route::Lane(SECOND);
    publisher.publish(&[Message::timer(lane, &[timer(8, SECOND)], None)]).await.unwrap();
    bench
        .raw
        .queue_delete(topology::lane(SECOND).as_str().into(), QueueDeleteOptions::default())
        .await
        .unwrap();
    let messages = [Route::Due, lane].map(|route| Message::timer(route, &[timer(9, SECOND)], None));
    let refused = publisher.publish(&messages).await;
    assert!(matches!(refused, Err(Error::Unroutable { .. })), "{refused:?}");
    publisher.publish(&messages).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_reaches_who_listens_and_is_no_error_when_nobody_does() {
    let bench = Bench::new().await;
    let time = OffsetDateTime::now_utc();
    let event = CloudEvent { id: "17", kind: "booking.held", source: "/test", time };
    let message = Message::event(&event, "a.Type", vec![1, 2], None);
    let mut publisher = bench.broker.publisher();
    publisher.publish(std::slice::from_ref(&message)).await.unwrap();

    let queue = bench
        .raw
        .queue_declare("".into(), QueueDeclareOptions::default(), FieldTable::default())
        .await
        .unwrap();
    let bind = bench.raw.queue_bind(
        queue.name().clone(),
        topology::BOOKINGS.into(),
        "booking.*".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bind.await.unwrap();
    publisher.publish(&[message]).await.unwrap();
    let heard = bench.get(queue.name().as_str()).await;
    let headers = heard.properties.headers().as_ref().unwrap().inner();
    let header = |name: &str| headers.get(name).and_then(|value| value.as_long_string()).unwrap().to_string();
    assert_eq!(heard.data, [1, 2]);
    assert_eq!((header("cloudEvents:id"), header("cloudEvents:type")), ("17".into(), "booking.held".into()));
    assert_eq!(heard.properties.kind().as_ref().unwrap().as_str(), "a.Type");
}
