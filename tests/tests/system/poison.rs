//! Poison among the timers: whatever it is, it ends in `holds.parked`, once, seen and counted, and blocks nothing.

use std::{fs, time::Duration};

use failpoint::{Program, Step};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use prost::Message as _;
use prost_types::Timestamp;
use proto::{
    catalog::HoldKey,
    events::{HoldTimer, HoldsPlaced},
    reservation::BookingState,
};
use stack::{Options, Stack};
use system_tests::{
    Armed, Lag, Outcome, PATIENCE, Stock, World, counted, eventually, fresh_id, own, units, when,
};
use tokio::task::block_in_place;

const VERSION: &str = "holdfast-version";
const LONG_AGO: Option<Timestamp> = Some(Timestamp { seconds: 1, nanos: 0 });

/// A queue's side of a stack.
struct Queues {
    channel: Channel,
    _connection: Connection,
}

impl Queues {
    async fn of(stack: &Stack) -> lapin::Result<Self> {
        let connection =
            Connection::connect(&stack.rabbitmq().url(), ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { channel, _connection: connection })
    }

    async fn publish(&self, properties: BasicProperties, body: &[u8]) -> lapin::Result<()> {
        let (exchange, key) = ("holdfast.timers".into(), "holds.due".into());
        self.channel
            .basic_publish(exchange, key, BasicPublishOptions::default(), body, properties)
            .await?
            .await?;
        Ok(())
    }

    async fn ready(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(queue.into(), options, FieldTable::default()).await;
        queue.expect("the queue is there").message_count()
    }

    async fn await_ready(&self, queue: &str, count: u32) {
        eventually(&format!("{count} messages wait in {queue}"), PATIENCE, async || {
            let ready = self.ready(queue).await;
            when(ready == count, ready)
        })
        .await;
    }
}

/// What a timer message is dressed in, with a version.
fn dress(version: AMQPValue) -> BasicProperties {
    let mut headers = FieldTable::default();
    headers.insert(VERSION.into(), version);
    BasicProperties::default()
        .with_content_type("application/protobuf".into())
        .with_type("holdfast.events.v1.HoldsPlaced".into())
        .with_headers(headers)
}

fn proper() -> BasicProperties {
    dress(AMQPValue::LongInt(1))
}

fn timer(booking_id: &str, attempt: i32, expire_time: Option<Timestamp>) -> HoldTimer {
    HoldTimer { key: Some(HoldKey { booking_id: booking_id.to_owned(), attempt }), expire_time }
}

fn body(holds: Vec<HoldTimer>) -> Vec<u8> {
    HoldsPlaced { holds }.encode_to_vec()
}

/// Messages that nobody can read, now or ever.
fn unreadable() -> Vec<(BasicProperties, Vec<u8>)> {
    let good = body(vec![timer(&fresh_id(), 1, LONG_AGO)]);
    let out_of_range = Some(Timestamp { seconds: i64::MAX, nanos: 0 });
    let odd_nanos = Some(Timestamp { seconds: 1, nanos: -1 });
    vec![
        (BasicProperties::default(), b"garbage".to_vec()),
        (BasicProperties::default(), Vec::new()),
        (BasicProperties::default(), good.clone()),
        (proper(), Vec::new()),
        (proper(), b"\xff\xff\xff\xff\xff".to_vec()),
        (proper(), good[..good.len() - 3].to_vec()),
        (proper().with_type("holdfast.events.v2.HoldsPlaced".into()), good.clone()),
        (proper().with_content_type("application/json".into()), b"{}".to_vec()),
        (dress(AMQPValue::LongInt(2)), good.clone()),
        (dress(AMQPValue::LongLongInt(i64::MIN)), good.clone()),
        (dress(AMQPValue::LongString("1".into())), good),
        (proper(), body(vec![timer("no uuid", 1, LONG_AGO)])),
        (proper(), body(vec![timer("", 1, LONG_AGO)])),
        (proper(), body(vec![timer(&fresh_id(), 0, LONG_AGO)])),
        (proper(), body(vec![timer(&fresh_id(), i32::MIN, LONG_AGO)])),
        (proper(), body(vec![timer(&fresh_id(), 1, None)])),
        (proper(), body(vec![timer(&fresh_id(), 1, out_of_range)])),
        (proper(), body(vec![timer(&fresh_id(), 1, odd_nanos)])),
        (proper(), body(vec![HoldTimer { key: None, expire_time: LONG_AGO }])),
        (proper(), body(vec![timer(&fresh_id(), 1, LONG_AGO); 10_000])),
        (proper(), body(vec![timer(&fresh_id(), 1, LONG_AGO), timer("bad", 1, LONG_AGO)])),
    ]
}

/// How often the expirer's log says that a message was parked.
fn parkings(stack: &Stack) -> usize {
    let log = fs::read_to_string(stack.expirer().log().expect("it has a log")).expect("it can be read");
    log.lines().filter(|line| line.contains(" ERROR ") && line.contains("holds.parked")).count()
}

/// Without the sweep, which would come to the rescue.
fn without_sweep() -> Options {
    Options::default().env("HOLDFAST_SWEEP_INTERVAL_MS", "3600000")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_can_read_is_parked_once_and_timers_among_it_are_on_time() -> Outcome {
    let stack = own(without_sweep()).await;
    let (world, queues) = (World::of(&stack), Queues::of(&stack).await?);
    let meal = world.product(100, Duration::from_secs(2)).await;
    let poison = unreadable();
    let mut held = Vec::new();
    for (properties, body) in &poison {
        held.push(world.hold(&[units(&meal, 1)]).await?.booking_id);
        queues.publish(properties.clone(), body).await?;
    }
    let count = u32::try_from(poison.len()).expect("they are few");
    queues.await_ready("holds.parked", count).await;
    for id in &held {
        world.await_state(id, BookingState::Expired).await;
    }
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;

    queues.await_ready("holds.due", 0).await;
    assert_eq!(queues.ready("holds.parked").await, count);
    assert_eq!(counted(stack.expirer(), "holdfast_poison_messages_total", ""), u64::from(count));
    assert_eq!(parkings(&stack), poison.len());
    let lag = Lag::of(&stack);
    assert_eq!((lag.by_timer, lag.by_sweep), (held.len() as u64, 0));
    world.assert_settles().await;
    Ok(())
}

/// The reader takes this spelling of an id for one, and reservation does not: it refuses whatever it is asked about with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_reservation_refuses_is_parked_and_whatever_was_asked_with_it_is_settled() -> Outcome {
    let stack = own(without_sweep()).await;
    let (world, queues) = (World::of(&stack), Queues::of(&stack).await?);
    let meal = world.product(100, Duration::from_secs(2)).await;
    let refused = fresh_id().replace('-', "");
    let (strays, far) = ([fresh_id(), fresh_id()], fresh_id());
    for _ in 0..3 {
        let holds = vec![
            timer(&strays[0], 1, LONG_AGO),
            timer(&refused, 1, LONG_AGO),
            timer(&strays[1], 1, LONG_AGO),
        ];
        queues.publish(proper(), &body(holds)).await?;
    }
    // In the year 9000: nothing lasts as long, so it is asked about, and not carried around until then.
    let year_9000 = Some(Timestamp { seconds: 221_845_392_000, nanos: 0 });
    queues.publish(proper(), &body(vec![timer(&far, 1, year_9000)])).await?;
    let held = world.hold(&[units(&meal, 1)]).await?;
    world.await_state(&held.booking_id, BookingState::Expired).await;
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;

    queues.await_ready("holds.parked", 3).await;
    queues.await_ready("holds.due", 0).await;
    for id in strays.iter().chain([&far]) {
        world.await_state(id, BookingState::Expired).await;
    }
    assert_eq!(counted(stack.expirer(), "holdfast_poison_messages_total", ""), 3);
    assert_eq!(parkings(&stack), 3);
    world.assert_settles().await;
    Ok(())
}

/// The failpoints of this are walked here.
pub(crate) fn is_walked_here(step: Step) -> bool {
    step.name().starts_with("poison.")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_expirer_dies_or_fails_over_it_it_is_parked_once_and_holds_nothing_up() -> Outcome {
    let stack = own(without_sweep()).await;
    let (world, queues) = (World::of(&stack), Queues::of(&stack).await?);
    let meal = world.product(100, Duration::from_secs(1)).await;
    let mut parked = 0;
    for step in Step::ALL.iter().copied().filter(|step| is_walked_here(*step)) {
        for action in ["abort", "error"] {
            let armed = Armed::start(&stack, Program::Expirer, step, action).await;
            queues.publish(proper(), b"garbage").await?;
            world.hold(&[units(&meal, 1)]).await?;
            armed.revived().await;
            world.await_stock(&meal, Stock::new(100, 0, 0)).await;
            // Where the step failed, the message is in hand until the connection ends.
            block_in_place(|| stack.expirer().restart().expect("it starts again"));
            parked += 1;
            queues.await_ready("holds.parked", parked).await;
            queues.await_ready("holds.due", 0).await;
        }
    }
    world.assert_settles().await;
    Ok(())
}
