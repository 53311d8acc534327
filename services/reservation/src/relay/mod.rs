//! The relay: takes promises out of the outbox and keeps them. A promise leaves the outbox in the transaction in which it was
//! delivered and confirmed; what fails stays, and is tried again for ever. Delivering twice is harmless. What is refused
//! on its own is parked (`singly.rs`), and stops nothing.

mod delivery;
mod depth;
mod events;
mod metrics;
mod settles;
mod singly;
mod steps;
mod timers;
mod tried;
mod wake;

use std::{sync::Arc, time::Duration};

use amqp::Broker;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use failpoint::reach;
use postgres::UnitOfWork;
use proto::catalog::hold_service_client::HoldServiceClient;
use server::{Channel, Jobs};
use sqlx::{PgConnection, PgPool};
use telemetry::Chain;
use tokio::{
    sync::{Mutex, Notify},
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, field};

pub use self::wake::Wake;
use self::{
    delivery::{DeliveryError, Destination},
    metrics::Metrics,
};
use crate::store::outbox::{self, Kind, Portion};

/// What is delivered in one transaction.
const PORTION: Portion = Portion { rows: 64, bookings: 5_000 };
/// How often the outbox is looked at when no bell rings: for what other replicas left behind.
const POLL: Duration = Duration::from_millis(500);
/// How far apart passes over timers and over events begin, unless there is a whole portion left: under load one pass, with its
/// transaction and its confirms, then serves many batches of holds. Timers are early by more than that (`amqp::Lanes`).
const PACE: Duration = Duration::from_millis(20);
/// How often parked rows are given back that have rested.
const LOOK_AT_PARKED: Duration = Duration::from_secs(30);
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
        let (pool, wake) = (pool.clone(), Arc::clone(wake));
        let relay = Relay { pool, wake, kind, to, metrics: Metrics::new(kind) };
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
    jobs.spawn("outbox watch", stop, depth::watch(pool.clone(), stop.clone()));
}

/// One loop.
struct Relay {
    pool: PgPool,
    wake: Arc<Wake>,
    kind: Kind,
    to: Destination,
    metrics: Metrics,
}

impl Relay {
    async fn run(self, stop: CancellationToken) {
        let kind = self.kind.as_str();
        let wake = Arc::clone(&self.wake);
        let bell = self.bell(&wake);
        let mut backoff = backoff();
        let mut failing = false;
        let mut refusals = 0;
        let mut looked: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.to.reachable() => {}
            }
            if looked.is_none_or(|at| at.elapsed() >= LOOK_AT_PARKED) {
                // While there may be more, and passes succeed: each pass takes in as many.
                let more = self.look_at_parked().await && !failing;
                looked = (!more).then(Instant::now);
            }
            let begun = Instant::now();
            match self.pass(refusals).await {
                Ok(more) => {
                    if failing {
                        tracing::info!(kind, "promises no longer wait");
                        (backoff, failing) = (self::backoff(), false);
                    }
                    refusals = 0;
                    if more {
                        continue;
                    }
                }
                Err(error) => {
                    if !failing {
                        tracing::warn!(kind, error = %Chain(&error), "promises wait: they cannot be delivered now");
                    }
                    failing = true;
                    refusals = if error.is_outage() { 0 } else { refusals + 1 };
                    self.metrics.failed();
                    // A bell does not mend what is broken.
                    tokio::select! {
                        () = stop.cancelled() => return,
                        () = sleep(backoff.next().unwrap_or(MAX_BACKOFF)) => continue,
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.rung(bell, begun) => {}
                () = sleep(POLL) => {}
            }
        }
    }

    /// Waits until there is something new, and a pass that follows one begun then is not too soon.
    async fn rung(&self, bell: &Notify, begun: Instant) {
        match self.kind {
            Kind::Timer | Kind::Event => sleep_until(begun + PACE).await,
            Kind::Settle => {} // units wait for it
        }
        bell.notified().await;
    }

    fn bell<'a>(&self, wake: &'a Wake) -> &'a Notify {
        match self.kind {
            Kind::Timer => &wake.timers,
            Kind::Event => &wake.events,
            Kind::Settle => &wake.settles,
        }
    }

    /// Delivers the oldest rows. Answers whether there may be more. `refusals`: how many passes before this one were refused
    /// in whole.
    async fn pass(&self, refusals: u32) -> Result<bool, DeliveryError> {
        let Delivered { rows, bookings } = match self.attempt_unsynced(self).await {
            Err(error) if !error.is_outage() => return self.singly(refusals).await,
            attempt => attempt?,
        };
        if rows > 0 {
            reach(steps::deleted(self.kind)).await?;
        }
        self.metrics.delivered(bookings);
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
            let span = tracing::info_span!(
                "job.relay",
                kind = self.kind.as_str(),
                rows = rows.len(),
                bookings,
                trace_id = field::Empty
            );
            for traceparent in rows.iter().filter_map(|row| row.trace()) {
                telemetry::propagation::link(&span, traceparent);
            }
            telemetry::propagation::record_trace_id(&span);
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
