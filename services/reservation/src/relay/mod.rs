//! The relay: takes promises out of the outbox and keeps them. A promise leaves the outbox in the transaction in which it was
//! delivered and confirmed; what fails stays, and is tried again for ever. Delivering twice is harmless.

mod events;
mod settles;
mod steps;
mod timers;
mod wake;

use std::{sync::Arc, time::Duration};

use amqp::{Broker, Lanes, Publisher};
use backon::{BackoffBuilder as _, ExponentialBuilder};
use failpoint::reach;
use opentelemetry::{KeyValue, metrics::Counter};
use postgres::UnitOfWork;
use proto::catalog::hold_service_client::HoldServiceClient;
use server::{Channel, Jobs};
use sqlx::{PgConnection, PgPool};
use tokio::{
    sync::{Mutex, Notify},
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::Instrument as _;

pub use wake::Wake;

use crate::{
    error::Error,
    store::outbox::{self, Kind, Portion, Row},
};

/// What is delivered in one transaction.
const PORTION: Portion = Portion { rows: 64, bookings: 5_000 };
/// How often the outbox is looked at when no bell rings: for what other replicas left behind.
const POLL: Duration = Duration::from_millis(500);
/// The wait after the first failure; it doubles up to [`MAX_BACKOFF`], with as much again by chance.
const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Starts one loop for each kind of promise, until `stop`: they fail and recover apart from each other.
pub fn spawn(
    pool: &PgPool,
    broker: &Broker,
    catalog: HoldServiceClient<Channel>,
    wake: &Arc<Wake>,
    stop: &CancellationToken,
    jobs: &Jobs,
) {
    let start = |name, kind, to| {
        let (delivered, failures) = counters();
        let relay = Relay { pool: pool.clone(), wake: Arc::clone(wake), kind, to, delivered, failures };
        jobs.spawn(name, stop, relay.run(stop.clone()));
    };
    let lanes = broker.lanes().clone();
    let publisher = || Mutex::new(broker.publisher());
    start(
        "timer relay",
        Kind::Timer,
        Destination::Timers { broker: broker.clone(), publisher: publisher(), lanes },
    );
    start("event relay", Kind::Event, Destination::Events { broker: broker.clone(), publisher: publisher() });
    start("settle relay", Kind::Settle, Destination::Catalog(catalog));
}

/// Promises that were kept, by booking, and attempts that failed.
fn counters() -> (Counter<u64>, Counter<u64>) {
    let meter = telemetry::meter();
    let delivered = meter
        .u64_counter("holdfast_outbox_delivered_bookings")
        .with_description("Promises that left the outbox, counted by booking");
    let failures = meter
        .u64_counter("holdfast_outbox_failures")
        .with_description("Attempts to deliver promises that failed: they stayed in the outbox");
    (delivered.build(), failures.build())
}

/// Where promises of one kind go.
enum Destination {
    Timers { broker: Broker, publisher: Mutex<Publisher>, lanes: Lanes },
    Events { broker: Broker, publisher: Mutex<Publisher> },
    Catalog(HoldServiceClient<Channel>),
}

/// Why a delivery failed. Its rows stay.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error("outbox")]
    Outbox(#[from] Error),
    #[error("RabbitMQ")]
    Broker(#[from] amqp::Error),
    #[error("catalog: {0:?}")]
    Catalog(tonic::Code),
    #[error("the catalog answered {answered} of {asked} verdicts")]
    Answers { answered: usize, asked: usize },
}

impl From<sqlx::Error> for DeliveryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Outbox(error.into())
    }
}

impl postgres::DatabaseError for DeliveryError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Outbox(error) => error.database(),
            _ => None,
        }
    }
}

impl From<failpoint::Fault> for DeliveryError {
    fn from(fault: failpoint::Fault) -> Self {
        Self::Outbox(fault.into())
    }
}

impl From<Status> for DeliveryError {
    fn from(status: Status) -> Self {
        Self::Catalog(status.code())
    }
}

impl Destination {
    /// Waits until there is any use in trying.
    async fn reachable(&self) {
        match self {
            Self::Timers { broker, .. } | Self::Events { broker, .. } => broker.up().await,
            Self::Catalog(_) => {}
        }
    }

    async fn deliver(&self, rows: &[Row]) -> Result<(), DeliveryError> {
        match self {
            Self::Timers { publisher, lanes, .. } => {
                let messages = timers::messages(lanes, rows)?;
                Ok(publisher.lock().await.publish(&messages).await?)
            }
            Self::Events { publisher, .. } => {
                Ok(publisher.lock().await.publish(&events::messages(rows)).await?)
            }
            Self::Catalog(catalog) => settles::deliver(&mut catalog.clone(), rows).await,
        }
    }
}

/// One loop.
struct Relay {
    pool: PgPool,
    wake: Arc<Wake>,
    kind: Kind,
    to: Destination,
    delivered: Counter<u64>,
    failures: Counter<u64>,
}

impl Relay {
    async fn run(self, stop: CancellationToken) {
        let kind = self.kind.as_str();
        let wake = Arc::clone(&self.wake);
        let bell = self.bell(&wake);
        let mut backoff = backoff();
        let mut failing = false;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.to.reachable() => {}
            }
            match self.pass().await {
                Ok(more) => {
                    if failing {
                        tracing::info!(kind, "promises are delivered again");
                        (backoff, failing) = (self::backoff(), false);
                    }
                    if more {
                        continue;
                    }
                }
                Err(error) => {
                    if !failing {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(kind, error, "promises wait: they cannot be delivered now");
                    }
                    failing = true;
                    self.failures.add(1, &[KeyValue::new("kind", kind)]);
                    // A bell does not mend what is broken.
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep(backoff.next().unwrap_or(MAX_BACKOFF)) => continue,
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = bell.notified() => {}
                () = sleep(POLL) => {}
            }
        }
    }

    fn bell<'a>(&self, wake: &'a Wake) -> &'a Notify {
        match self.kind {
            Kind::Timer => &wake.timers,
            Kind::Event => &wake.events,
            Kind::Settle => &wake.settles,
        }
    }

    /// Delivers the oldest rows. Answers whether there may be more.
    async fn pass(&self) -> Result<bool, DeliveryError> {
        let Delivered { rows, bookings } = postgres::transact(&self.pool, self).await?;
        if rows > 0 {
            reach(steps::deleted(self.kind)).await?;
        }
        self.delivered.add(bookings as u64, &[KeyValue::new("kind", self.kind.as_str())]);
        let reached = |count: usize, limit| i64::try_from(count).is_ok_and(|count| count >= limit);
        Ok(reached(rows, PORTION.rows) || reached(bookings, PORTION.bookings))
    }
}

/// How much a pass delivered.
struct Delivered {
    rows: usize,
    bookings: usize,
}

/// One pass. Done again, it delivers again, which is harmless.
impl UnitOfWork for Relay {
    type Output = Delivered;
    type Error = DeliveryError;

    async fn run(&self, conn: &mut PgConnection) -> Result<Delivered, DeliveryError> {
        let rows = outbox::take(conn, self.kind, PORTION).await?;
        let bookings = rows.iter().map(|row| row.booking_ids.len()).sum();
        if !rows.is_empty() {
            let span =
                tracing::info_span!("job.relay", kind = self.kind.as_str(), rows = rows.len(), bookings);
            for traceparent in rows.iter().filter_map(|row| row.traceparent.as_deref()) {
                telemetry::propagation::link(&span, traceparent);
            }
            reach(steps::taken(self.kind)).await?;
            self.to.deliver(&rows).instrument(span).await?;
            reach(steps::delivered(self.kind)).await?;
        }
        Ok(Delivered { rows: rows.len(), bookings })
    }
}

fn backoff() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(MIN_BACKOFF)
        .with_max_delay(MAX_BACKOFF)
        .without_max_times()
        .with_jitter()
        .build()
}
