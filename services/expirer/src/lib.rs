//! The expirer carries verdicts on holds that fall due from reservation to catalog. It owns no data and decides nothing:
//! any number of replicas may run, in any order, and repeat whatever they like.
//!
//! Two sources tell it which holds to ask about: timers that come back from RabbitMQ's lanes (`timers`), and the sweep
//! of what the catalog finds overdue (`sweep`). Both go through the same `settler`: ResolveHolds, then SettleHolds.

mod clock;
mod config;
mod failure;
mod halving;
mod health;
mod metrics;
mod parking;
mod queues;
mod schedule;
mod settler;
mod sweep;
mod timers;
mod verdict;

use std::{sync::Arc, time::Duration};

use amqp::Broker;
use anyhow::Context as _;
use proto::{
    catalog::hold_service_client::HoldServiceClient,
    reservation::settlement_service_client::SettlementServiceClient,
};
use server::{Health, Jobs, Listener};
use tokio_util::sync::CancellationToken;

pub use config::Config;

use crate::{
    clock::Clock,
    metrics::{Metrics, QueueDepths},
    parking::Parking,
    settler::Settler,
    sweep::Sweep,
    timers::Timers,
};

/// The catalog's internal API.
type Catalog = HoldServiceClient<server::Channel>;
/// Reservation's internal API.
type Reservation = SettlementServiceClient<server::Channel>;

/// How long a call to reservation or catalog may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// Works until `stop`, then finishes what is in hand. Waits for whatever is not there yet, saying so.
///
/// # Errors
/// A URL is malformed, the accepting of connections failed for good, or a background job died.
pub async fn serve(
    http: impl Into<Listener>,
    config: &Config,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let http = http.into();
    let health =
        Health::new(&[]).require(health::BROKER).require(health::RESERVATION).require(health::CATALOG);
    let (dialer, token) = (config.calls.dialer()?, config.token.file());
    let channel =
        |urls| Ok::<_, anyhow::Error>(dialer.channel(urls, CALL_TIMEOUT)?.with_token(token.clone()));
    let catalog = Catalog::new(channel(&config.catalog_url)?);
    let reservation = Reservation::new(channel(&config.reservation_url)?);
    // The connections, the clock and the answers over HTTP outlive the work.
    let background = CancellationToken::new();
    let stop = stop.child_token();
    let broker = |name| Broker::start(name, &config.amqp, background.clone()).context("set up RabbitMQ");
    let (consuming, parking) = (broker("expirer")?, broker("expirer parking")?);

    let metrics = Arc::new(Metrics::new());
    let clock = Clock::default();
    let settler = Settler::start(
        reservation.clone(),
        catalog.clone(),
        clock.clone(),
        Arc::clone(&metrics),
        config.review_grace(),
    );
    let sweep = Sweep {
        catalog,
        reservation: reservation.clone(),
        settler: settler.clone(),
        health: health.clone(),
        metrics: Arc::clone(&metrics),
    };
    let timers = Arc::new(Timers {
        settler: settler.clone(),
        clock: clock.clone(),
        parking: Parking::start(&parking),
        lanes: consuming.lanes().clone(),
        metrics,
    });

    let (work, rest) = (Jobs::new(&health, &stop), Jobs::new(&health, &stop));
    rest.spawn("consuming connection", &background, consuming.clone().ended());
    rest.spawn("parking connection", &background, parking.clone().ended());
    let looking = queues::watch(consuming.clone(), QueueDepths::default(), background.clone());
    rest.spawn("queue watch", &background, looking);
    let watch = health::watch_broker([consuming.clone(), parking], health.clone(), background.clone());
    rest.spawn("broker watch", &background, watch);
    rest.spawn("clock", &background, clock.learn(reservation, health.clone(), background.clone()));
    rest.watch("settle batcher", &background, settler.ended());
    rest.watch("park batcher", &background, timers.parking.clone().ended());
    work.spawn("sweep", &stop, sweep.run(config.sweep_interval(), stop.clone()));
    work.spawn("timers", &stop, timers.run(consuming, config.prefetch, stop.clone()));

    rest.spawn("http", &background, server::serve_http(http, health.clone(), None, background.clone()));

    stop.cancelled().await;
    health.drain();
    let worked = work.finish().await;
    background.cancel();
    worked.and(rest.finish().await)
}
