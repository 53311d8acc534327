//! The relay: takes promises out of the outbox and keeps them. A promise leaves the outbox in the transaction in which it was
//! delivered and confirmed; what fails stays, and is tried again for ever. Delivering twice is harmless.

mod events;
mod settles;
mod timers;
mod wake;

use std::{sync::Arc, time::Duration};

use amqp::{Broker, Lanes, Publisher};
use opentelemetry::{KeyValue, metrics::Counter};
use proto::catalog::hold_service_client::HoldServiceClient;
use server::Channel;
use sqlx::PgPool;
use tokio::{sync::Notify, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::Status;

pub use wake::Wake;

use crate::{
    error::Error,
    store::outbox::{self, Kind, Row},
};

/// The most rows that are delivered in one transaction.
const ROWS: i64 = 32;
/// How often the outbox is looked at when no bell rings: for what other replicas left behind.
const POLL: Duration = Duration::from_millis(500);
/// The wait after the first failure; it doubles up to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(50);
const MAX_BACKOFF: Duration = Duration::from_secs(2);

/// Starts one loop for each kind of promise, until `stop`: they fail and recover apart from each other.
pub fn spawn(
    pool: &PgPool,
    broker: &Broker,
    catalog: HoldServiceClient<Channel>,
    wake: &Arc<Wake>,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) {
    let start = |kind, to| {
        let relay = Relay { pool: pool.clone(), wake: Arc::clone(wake), kind, to, delivered: delivered() };
        tasks.spawn(relay.run(stop.clone()));
    };
    let lanes = broker.lanes().clone();
    start(Kind::Timer, Destination::Timers { broker: broker.clone(), publisher: broker.publisher(), lanes });
    start(Kind::Event, Destination::Events { broker: broker.clone(), publisher: broker.publisher() });
    start(Kind::Settle, Destination::Catalog(catalog));
}

fn delivered() -> Counter<u64> {
    telemetry::meter()
        .u64_counter("holdfast_outbox_delivered_bookings")
        .with_description("Promises that left the outbox, counted by booking")
        .build()
}

/// Where promises of one kind go.
enum Destination {
    Timers { broker: Broker, publisher: Publisher, lanes: Lanes },
    Events { broker: Broker, publisher: Publisher },
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
}

impl From<sqlx::Error> for DeliveryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Outbox(error.into())
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

    async fn deliver(&mut self, rows: &[Row]) -> Result<(), DeliveryError> {
        match self {
            Self::Timers { publisher, lanes, .. } => {
                Ok(publisher.publish(&timers::messages(lanes, rows)?).await?)
            }
            Self::Events { publisher, .. } => Ok(publisher.publish(&events::messages(rows)).await?),
            Self::Catalog(catalog) => settles::deliver(catalog, rows).await,
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
}

impl Relay {
    async fn run(mut self, stop: CancellationToken) {
        let kind = self.kind.as_str();
        let wake = Arc::clone(&self.wake);
        let bell = self.bell(&wake);
        let mut backoff = MIN_BACKOFF;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.to.reachable() => {}
            }
            let pause = match self.pass().await {
                Ok(full) => {
                    if backoff > MIN_BACKOFF {
                        tracing::info!(kind, "promises are delivered again");
                    }
                    backoff = MIN_BACKOFF;
                    if full {
                        continue;
                    }
                    POLL
                }
                Err(error) => {
                    if backoff == MIN_BACKOFF {
                        let error: &dyn std::error::Error = &error;
                        tracing::warn!(kind, error, "promises wait: they cannot be delivered now");
                    }
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                    // A bell does not mend what is broken.
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep(backoff) => continue,
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = bell.notified() => {}
                () = sleep(pause) => {}
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
    async fn pass(&mut self) -> Result<bool, DeliveryError> {
        let mut tx = self.pool.begin().await?;
        let rows = outbox::take(&mut tx, self.kind, ROWS).await?;
        if rows.is_empty() {
            tx.rollback().await?;
            return Ok(false);
        }
        self.to.deliver(&rows).await?;
        tx.commit().await?;
        let bookings: usize = rows.iter().map(|row| row.booking_ids.len()).sum();
        self.delivered.add(bookings as u64, &[KeyValue::new("kind", self.kind.as_str())]);
        Ok(i64::try_from(rows.len()).is_ok_and(|rows| rows == ROWS))
    }
}
