//! Reservation owns bookings and alone decides what becomes of them. It places holds with the catalog, and keeps
//! its promises to catalog, broker and other services through the outbox.

pub mod app;
pub mod creations;
pub mod creator;
pub mod domain;
pub mod error;
pub mod existing;
pub mod relay;
pub mod repair;
pub mod rpc;
pub mod store;
pub mod transitions;

mod convert;
mod metrics;
mod placement;
mod webhook;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use amqp::{AmqpConfig, Broker, LinkState};
use anyhow::Context as _;
use auth::AuthConfig;
use postgres::DatabaseConfig;
use proto::{
    catalog::{audit_service_client::AuditServiceClient, hold_service_client::HoldServiceClient},
    reservation::{
        audit_service_server::AuditServiceServer, booking_service_server::BookingServiceServer,
        settlement_service_server::SettlementServiceServer,
    },
};
use rest::{Document, RestConfig};
use server::{
    Access, Admission, Calls, CallsConfig, Channel, Endpoints, Health, Jobs, PartState, RateConfig, Services,
    TlsConfig, TokenConfig,
};
use telemetry::TelemetryConfig;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;

use crate::{
    app::App,
    domain::command::Policy,
    relay::Wake,
    repair::Left,
    rpc::{audit_service::AuditRpc, booking_service::BookingRpc, settlement_service::SettlementRpc},
};

pub use crate::webhook::WebhookConfig;

/// The schema of the reservation database.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/reservation");

/// What its role may do to its tables: it deletes no booking, and changes neither history nor payments.
pub const RIGHTS: postgres::Rights = &[
    ("booking_history", "select, insert"),
    ("bookings", "select, insert, update"),
    ("payments", "select, insert"),
];

/// How long a call to the catalog may take.
const CATALOG_TIMEOUT: Duration = Duration::from_secs(3);

/// The largest request of a customer; with the limit on calls it bounds the memory that requests take. The largest that is
/// any good, a booking of 100 lines, takes a fifth of it.
const MAX_REQUEST_BYTES: usize = 64 << 10;

/// What `--help` ends with.
const AFTER_HELP: &str =
    "Options stand before the command, or in the environment, which is the same for all commands.";

/// What can be set.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "reservation", version, about = "Holdfast's bookings", after_help = AFTER_HELP)]
pub struct Config {
    /// Where to serve gRPC.
    #[arg(long, env = "HOLDFAST_LISTEN", default_value = "127.0.0.1:50052", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where to serve REST, gRPC-Web, health and metrics over HTTP.
    #[arg(long, env = "HOLDFAST_HTTP_LISTEN", default_value = "127.0.0.1:8082", value_name = "ADDRESS")]
    pub http_listen: SocketAddr,
    /// The catalog. Several URLs are parted by commas; each address that the name of a host has is a replica of its own.
    #[arg(long, env = "HOLDFAST_CATALOG_URL", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub catalog_url: String,
    /// Where browsers find the catalog's HTTP port: for the page at /docs, which shows its API as well.
    #[arg(
        long,
        env = "HOLDFAST_CATALOG_HTTP_URL",
        default_value = "http://127.0.0.1:8081",
        value_name = "URL"
    )]
    pub catalog_http_url: String,
    /// How much time StartPayment gives at least, in milliseconds.
    #[arg(long, env = "HOLDFAST_PAYMENT_WINDOW_MS", default_value_t = 120_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(1..=86_400_000))]
    pub payment_window_ms: u32,
    /// How long extensions may make a hold's life, in milliseconds.
    #[arg(long, env = "HOLDFAST_MAX_HOLD_MS", default_value_t = 1_800_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(1..=86_400_000))]
    pub max_hold_ms: u32,
    /// When a draft that nobody held is abandoned, in milliseconds.
    #[arg(long, env = "HOLDFAST_DRAFT_TTL_MS", default_value_t = 1_800_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(1..=86_400_000))]
    pub draft_ttl_ms: u32,
    /// How many calls of customers are handled at a time; one more is refused at once. Bounds the memory that they take, and
    /// with it how long they wait.
    #[arg(long, env = "HOLDFAST_MAX_CALLS", default_value_t = 2_048, value_name = "CALLS",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub max_calls: u32,
    /// How often each caller may call.
    #[command(flatten)]
    pub rates: RateConfig,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseConfig,
    /// Certificates.
    #[command(flatten)]
    pub tls: TlsConfig,
    /// How other services are called.
    #[command(flatten)]
    pub calls: CallsConfig,
    /// RabbitMQ.
    #[command(flatten)]
    pub amqp: AmqpConfig,
    /// Who may call.
    #[command(flatten)]
    pub auth: AuthConfig,
    /// What is shown to the catalog.
    #[command(flatten)]
    pub token: TokenConfig,
    /// REST.
    #[command(flatten)]
    pub rest: RestConfig,
    /// The webhook of the payment provider.
    #[command(flatten)]
    pub webhook: WebhookConfig,
    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub command: Option<Subcommand>,
}

/// What the program can do.
#[derive(clap::Subcommand, Clone, Copy, Debug)]
pub enum Subcommand {
    /// What every service can do.
    #[command(flatten)]
    Common(server::Command),
    /// Bring the database's schema up to date, and exit.
    Migrate,
    /// Put the promises that were parked back into the outbox at once, and exit.
    RetryParked,
    /// After the catalog was restored from an older backup than reservation: put back the holds of live bookings and carry
    /// the lost verdicts over, while no new bookings are taken. Prints each booking that it cannot help, and exits with 0
    /// if there is none, 1 if there are some, 2 if it could not finish. To be repeated at will.
    Repair,
}

/// Serves until `stop`, then drains. Waits for the database and its schema first; the broker may come later.
///
/// # Errors
/// A URL is malformed, the database refuses, the accepting of connections failed for good, or a background job died.
pub async fn serve(endpoints: Endpoints, config: &Config, stop: CancellationToken) -> anyhow::Result<()> {
    let access = Access::new(&config.auth).context("set up authentication")?;
    let health = Health::new(&[
        BookingServiceServer::<BookingRpc>::NAME,
        SettlementServiceServer::<SettlementRpc>::NAME,
        AuditServiceServer::<AuditRpc>::NAME,
    ]);
    let health = access.required_in(health.require("database").require("schema").inform("broker"));
    // The relay and the watchers outlive the calls. What the relay leaves in the outbox waits for the next one.
    let background = CancellationToken::new();
    let stop = stop.child_token();
    let jobs = Jobs::new(&health, &stop);
    // Health is answered from the start, also while there is no database yet.
    jobs.spawn("issuer's keys", &background, access.clone().follow(health.clone(), background.clone()));
    let calls = Calls::default();
    let rest = rest::router(config.api(), &config.rest, calls.clone()).context("set up REST")?;
    let rest = rest.merge(config.webhook.router(&calls).context("set up the webhook")?);
    let http = server::serve_http(endpoints.http, health.clone(), Some(rest), background.clone());
    jobs.spawn("http", &background, http);
    let Some(pool) = postgres::boot(&MIGRATOR, &config.database, &health, &stop).await? else {
        return Ok(());
    };
    let broker = Broker::start("reservation", &config.amqp, background.clone()).context("set up RabbitMQ")?;
    let catalog = config.catalog()?;
    let wake = Arc::new(Wake::default());

    let watch = postgres::watch(pool.clone(), health.clone(), background.clone());
    jobs.spawn("database watch", &background, watch);
    let watch = watch_broker(broker.clone(), health.clone(), background.clone());
    jobs.spawn("broker watch", &background, watch);
    jobs.spawn("broker connection", &background, broker.clone().ended());
    relay::spawn(&pool, &broker, catalog.clone(), &wake, &background, &jobs);

    metrics::show();
    let draft_ttl = Duration::from_millis(config.draft_ttl_ms.into());
    let app = App::start(pool.clone(), catalog, config.policy(), draft_ttl, wake, health.clone());
    app.supervise(&jobs, &background);
    let bookings = BookingServiceServer::new(BookingRpc(app.clone()));
    let services = Services::new()
        .with(bookings.max_decoding_message_size(MAX_REQUEST_BYTES))
        .with(SettlementServiceServer::new(SettlementRpc(app.clone())))
        .with(AuditServiceServer::new(AuditRpc::new(&pool)));
    let internal = [SettlementServiceServer::<SettlementRpc>::NAME, AuditServiceServer::<AuditRpc>::NAME];
    let admission = Admission::new(config.max_calls as usize, &internal).limit_rates(&config.rates);
    let served = server::serve(endpoints.grpc, services, health, admission, access, calls, stop).await;
    app.creator.finish().await;
    background.cancel();
    let finished = jobs.finish().await;
    pool.close().await;
    served.and(finished)
}

/// Puts everything that was parked back into the outbox. Answers how many promises that are.
///
/// # Errors
/// The database refuses or is away.
pub async fn retry_parked(config: &Config, stop: &CancellationToken) -> anyhow::Result<u64> {
    let pool = postgres::connect(&config.database, stop).await?;
    let mut conn = pool.acquire().await?;
    let mut rows = 0;
    for kind in store::outbox::Kind::ALL {
        loop {
            match store::parked::give_back(&mut conn, kind, Duration::ZERO).await? {
                0 => break,
                returned => rows += returned,
            }
        }
    }
    Ok(rows)
}

/// Makes the catalog, restored from an older backup, as the bookings say. Tells `leave` of each that it cannot help.
///
/// # Errors
/// The URL is malformed, the database or the catalog refuses or is away, or `stop` came first.
pub async fn repair(
    config: &Config,
    stop: &CancellationToken,
    leave: &mut (dyn FnMut(Left) + Send),
) -> anyhow::Result<repair::Report> {
    let pool = postgres::connect(&config.database, stop).await?;
    let channel = config.catalog_channel()?;
    let (holds, audit) = (HoldServiceClient::new(channel.clone()), AuditServiceClient::new(channel));
    let catalog = repair::Catalog { holds, audit };
    tokio::select! {
        repaired = repair::run(pool, catalog, config.policy(), leave) => repaired,
        () = stop.cancelled() => anyhow::bail!("told to stop"),
    }
}

impl Config {
    /// Whether it can be used, as far as that is known without connecting to anything. Called before telemetry is set up: it
    /// makes nothing that counts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        self.database.check()?;
        self.amqp.check()?;
        self.tls.check()?;
        self.auth.check()?;
        self.token.check()?;
        self.telemetry.check()?;
        self.webhook.check()?;
        self.calls.check(&self.catalog_url).context("read the catalog's URL")?;
        server::check_urls(&self.catalog_http_url).context("read the URL of the catalog's HTTP port")
    }

    /// Whether `migrate` can use it: the database is all that it needs.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_to_migrate(&self) -> anyhow::Result<()> {
        self.database.check()?;
        self.telemetry.check()
    }

    /// The same as [`Self::check`], and whether it may serve where it is to listen.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_to_serve(&self) -> anyhow::Result<()> {
        self.check()?;
        let addresses = [("HOLDFAST_LISTEN", self.listen), ("HOLDFAST_HTTP_LISTEN", self.http_listen)];
        self.auth.check_addresses(&addresses)
    }

    /// The way to the catalog.
    fn catalog(&self) -> anyhow::Result<HoldServiceClient<Channel>> {
        Ok(HoldServiceClient::new(self.catalog_channel()?))
    }

    fn catalog_channel(&self) -> anyhow::Result<Channel> {
        let channel = self.calls.dialer()?.channel(&self.catalog_url, CATALOG_TIMEOUT)?;
        Ok(channel.with_token(self.token.file()))
    }

    /// What is offered over HTTP: nothing of what is internal. The page shows the catalog's API beside this one.
    fn api(&self) -> rest::Api {
        let catalog = format!("{}/openapi.json", self.catalog_http_url.trim_end_matches('/'));
        let documents = [("Bookings", "/openapi.json"), ("Catalog", &catalog)];
        rest::Api {
            title: "Holdfast: bookings",
            services: vec![BookingServiceServer::<BookingRpc>::NAME],
            max_body_bytes: MAX_REQUEST_BYTES,
            bearer: self.auth.is_on(),
            documents: documents
                .map(|(name, url)| Document { name: name.to_owned(), url: url.to_owned() })
                .into(),
            more: self.webhook.description(),
        }
    }

    fn policy(&self) -> Policy {
        Policy {
            payment_window: time::Duration::milliseconds(self.payment_window_ms.into()),
            max_hold: time::Duration::milliseconds(self.max_hold_ms.into()),
        }
    }
}

/// Says in `health` how the broker is, until `stop`. Holds go on without it.
async fn watch_broker(broker: Broker, health: Health, stop: CancellationToken) {
    let mut states = broker.state();
    loop {
        let state = match &*states.borrow_and_update() {
            LinkState::Up => PartState::Up,
            LinkState::Down(reason) => PartState::Down(reason.clone()),
        };
        health.set("broker", state);
        tokio::select! {
            () = stop.cancelled() => return,
            changed = states.changed() => if changed.is_err() { return },
        }
    }
}
