//! A node, a connection to it, and a look past the crate at its queues.

use std::{
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use amqp::{AmqpConfig, Broker, LinkState, Timer, topology};
use clap::Parser;
use lapin::{
    Channel, Connection, ConnectionProperties,
    message::BasicGetMessage,
    options::{BasicGetOptions, QueuePurgeOptions},
};
use proto::catalog::HoldKey;
use stack::RabbitMq;
use time::OffsetDateTime;
use tokio::{
    sync::{Mutex, MutexGuard},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// How long anything may take before the test fails.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

static NODE: LazyLock<RabbitMq> = LazyLock::new(|| RabbitMq::temporary().unwrap());
static TURN: OnceLock<Mutex<()>> = OnceLock::new();

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    amqp: AmqpConfig,
}

/// How to reach `url`. Holds of 2 s have a lane of their own, of 1.5 s.
pub(crate) fn config(url: &str) -> AmqpConfig {
    Command::parse_from(["test", "--amqp-url", url, "--hold-ttls-ms", "2000"]).amqp
}

/// The shared node, for one test at a time, with empty queues.
pub(crate) struct Bench {
    pub(crate) broker: Broker,
    pub(crate) raw: Channel,
    stop: CancellationToken,
    _raw_connection: Connection,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let turn = TURN.get_or_init(Mutex::default).lock().await;
        let node = tokio::task::spawn_blocking(|| &*NODE).await.unwrap();
        let stop = CancellationToken::new();
        let broker = Broker::start("test", &config(&node.url()), stop.clone()).unwrap();
        timeout(PATIENCE, broker.up()).await.expect("the node is up");
        let (raw_connection, raw) = raw(&node.url()).await;
        let lanes = broker.lanes().ttls().map(topology::lane);
        for queue in lanes.chain([topology::DUE, topology::PARKED].map(str::to_owned)) {
            raw.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
        }
        Self { broker, raw, stop, _raw_connection: raw_connection, _turn: turn }
    }

    /// The next message of a queue, taken off it.
    pub(crate) async fn get(&self, queue: &str) -> BasicGetMessage {
        let taken = async {
            loop {
                let options = BasicGetOptions { no_ack: true };
                if let Some(message) = self.raw.basic_get(queue.into(), options).await.unwrap() {
                    return message;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(PATIENCE, taken).await.expect("a message comes")
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A connection past the crate.
pub(crate) async fn raw(url: &str) -> (Connection, Channel) {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

/// A timer for the hold of this number, with this much time left.
pub(crate) fn timer(number: u128, left: Duration) -> Timer {
    let key = HoldKey { booking_id: Uuid::from_u128(number).to_string(), attempt: 1 };
    Timer { key, expires_at: OffsetDateTime::now_utc() + left }
}

/// Waits until the connection is lost.
pub(crate) async fn down(broker: &Broker) {
    let mut state = broker.state();
    let lost = state.wait_for(|state| matches!(state, LinkState::Down(_)));
    timeout(PATIENCE, lost).await.expect("the loss is noticed").unwrap();
}
