//! An expirer at work, with everything around it.

use std::{
    sync::{LazyLock, OnceLock},
    time::Duration,
};

use amqp::{Broker, Message, Timer, topology};
use clap::Parser as _;
use expirer::Config;
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueDeclareOptions, QueuePurgeOptions},
    types::FieldTable,
};
use proto::catalog::HoldKey;
use stack::RabbitMq;
use time::{Duration as Span, OffsetDateTime};
use tokio::{
    net::TcpListener,
    sync::{Mutex, MutexGuard},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::services::Services;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
/// How long anything may take before the test fails.
const PATIENCE: Duration = Duration::from_mins(1);

static NODE: LazyLock<RabbitMq> = LazyLock::new(|| RabbitMq::temporary().unwrap());
static TURN: OnceLock<Mutex<()>> = OnceLock::new();

/// The shared node with empty queues, services of its own and an expirer, for one test at a time.
pub(crate) struct Bench {
    pub(crate) services: Services,
    broker: Broker,
    raw: Channel,
    stop: CancellationToken,
    expirer: Mutex<Option<JoinHandle<anyhow::Result<()>>>>,
    _raw_connection: Connection,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    pub(crate) async fn new(clock_offset: Span) -> Self {
        let turn = TURN.get_or_init(Mutex::default).lock().await;
        let node = tokio::task::spawn_blocking(|| &*NODE).await.unwrap();
        let (services, address) = Services::start(clock_offset).await;
        let url = format!("http://{address}");
        let amqp_url = node.url();
        let arguments =
            ["expirer", "--amqp-url", &amqp_url, "--catalog-url", &url, "--reservation-url", &url];
        let config = Config::parse_from(arguments.into_iter().chain(["--sweep-interval-ms", "50"]));
        let stop = CancellationToken::new();
        let broker = Broker::start("test", &config.amqp, stop.clone()).unwrap();
        timeout(PATIENCE, broker.up()).await.unwrap();
        let raw_connection = Connection::connect(&amqp_url, ConnectionProperties::default()).await.unwrap();
        let raw = raw_connection.create_channel().await.unwrap();
        for queue in [topology::DUE.to_owned(), topology::PARKED.to_owned(), topology::lane(64 * SECOND)] {
            raw.queue_purge(queue.as_str().into(), QueuePurgeOptions::default()).await.unwrap();
        }
        let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stopping = stop.clone();
        let expirer = tokio::spawn(async move { expirer::serve(http, &config, stopping).await });
        let expirer = Mutex::new(Some(expirer));
        Self { services, broker, raw, stop, expirer, _raw_connection: raw_connection, _turn: turn }
    }

    /// A hold with so many ms left by the services' clock.
    pub(crate) fn hold(&self, left_ms: i64) -> Timer {
        let key = HoldKey { booking_id: Uuid::new_v4().to_string(), attempt: 1 };
        let expires_at = self.services.now() + Span::milliseconds(left_ms);
        self.services.hold(&key, expires_at);
        Timer { key, expires_at }
    }

    pub(crate) async fn publish(&self, messages: &[Message]) {
        self.broker.publisher().publish(messages).await.unwrap();
    }

    pub(crate) async fn until(&self, condition: impl Fn(&Services) -> bool) {
        let met = async {
            while !condition(&self.services) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, met).await.expect("it happens");
    }

    pub(crate) async fn settled(&self, count: usize) -> Vec<(HoldKey, OffsetDateTime)> {
        self.until(|services| services.settled().len() >= count).await;
        self.services.settled()
    }

    pub(crate) async fn until_filled(&self, queue: &str) {
        let filled = async {
            while self.is_empty(queue).await {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, filled).await.expect("a message comes");
    }

    pub(crate) async fn is_empty(&self, queue: &str) -> bool {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.raw.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count()
            == 0
    }

    /// The body of the next message of a queue, taken off it.
    pub(crate) async fn take(&self, queue: &str) -> Vec<u8> {
        self.until_filled(queue).await;
        let options = BasicGetOptions { no_ack: true };
        self.raw.basic_get(queue.into(), options).await.unwrap().unwrap().delivery.data
    }

    /// Tells the expirer to stop, and waits until it has.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        let expirer = self.expirer.lock().await.take().expect("it is stopped once");
        timeout(PATIENCE, expirer).await.expect("it stops").unwrap().unwrap();
    }
}
