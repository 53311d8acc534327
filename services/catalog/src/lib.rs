//! The catalog owns products, stock, seat maps, seats and holds. It knows nothing of payment, and of customers no more than what
//! they have of what is limited.

pub mod convert;
pub mod domain;
pub mod error;
pub mod holds;
pub mod rpc;
pub mod store;

mod metrics;
mod recount;

use std::net::SocketAddr;

use anyhow::Context as _;
use auth::AuthConfig;
pub use error::Error;
use postgres::DatabaseConfig;
use proto::catalog::{
    audit_service_server::AuditServiceServer, catalog_service_server::CatalogServiceServer,
    hold_service_server::HoldServiceServer,
};
use rest::{Document, RestConfig};
use server::{Access, Admission, Calls, Endpoints, Health, Jobs, RateConfig, Services, TlsConfig};
use telemetry::TelemetryConfig;
use tokio_util::sync::CancellationToken;
use tonic::server::NamedService;

use crate::holds::Settings;
use crate::rpc::{CatalogRpc, audit::AuditRpc, holds::HoldRpc};

/// The schema of the catalog database.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/catalog");

/// What its role may do to its tables: it deletes nothing but counts, and changes no adjustment.
pub const RIGHTS: postgres::Rights = &[
    ("customer_counts", "select, insert, update, delete"),
    ("holds", "select, insert, update"),
    ("products", "select, insert, update"),
    ("seat_maps", "select, insert, update"),
    ("seats", "select, insert, update"),
    ("stock_adjustments", "select, insert"),
];

/// What `--help` ends with.
const AFTER_HELP: &str =
    "Options stand before the command, or in the environment, which is the same for all commands.";

/// What can be set.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "catalog", version, about = "Holdfast's products, seats and holds", after_help = AFTER_HELP)]
pub struct Config {
    /// Where to serve gRPC.
    #[arg(long, env = "HOLDFAST_LISTEN", default_value = "127.0.0.1:50051", value_name = "ADDRESS")]
    pub listen: SocketAddr,
    /// Where to serve REST, gRPC-Web, health and metrics over HTTP.
    #[arg(long, env = "HOLDFAST_HTTP_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    pub http_listen: SocketAddr,
    /// How long after its time a hold that nobody settled is listed as overdue, in milliseconds.
    #[arg(
        long,
        env = "HOLDFAST_REVIEW_GRACE_MS",
        default_value_t = 1_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u32).range(..=86_400_000)
    )]
    pub review_grace_ms: u32,
    /// How many open holds one customer may have; 0: no limit. The same for all replicas.
    #[arg(
        long,
        env = "HOLDFAST_MAX_OPEN_HOLDS_PER_CUSTOMER",
        default_value_t = 0,
        value_name = "HOLDS",
        value_parser = clap::value_parser!(u32).range(..=1_000_000)
    )]
    pub max_open_holds_per_customer: u32,
    /// How many calls of customers are handled at a time; one more is refused at once. Bounds the memory that they take.
    #[arg(
        long,
        env = "HOLDFAST_MAX_CALLS",
        default_value_t = 256,
        value_name = "CALLS",
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
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
    /// Who may call.
    #[command(flatten)]
    pub auth: AuthConfig,
    /// REST.
    #[command(flatten)]
    pub rest: RestConfig,
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
    /// Make what is counted of customers what their holds say, after a rollback, and exit.
    Recount,
}

impl Config {
    /// Whether `migrate` can use it, as far as that is known without connecting to anything: the database is all that it needs.
    /// Called before telemetry is set up: it makes nothing that counts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_to_migrate(&self) -> anyhow::Result<()> {
        self.database.check()?;
        self.telemetry.check()
    }

    /// The same of all of it, and whether it may serve where it is to listen.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_to_serve(&self) -> anyhow::Result<()> {
        self.check_to_migrate()?;
        self.tls.check()?;
        self.auth.check()?;
        let addresses = [("HOLDFAST_LISTEN", self.listen), ("HOLDFAST_HTTP_LISTEN", self.http_listen)];
        self.auth.check_addresses(&addresses)
    }
}

/// The largest body of a request over HTTP: a seat map of 10,000 seats takes a third of it.
const MAX_BODY_BYTES: usize = 4 << 20;

/// What is offered over HTTP: nothing of what is internal.
fn api(config: &Config) -> rest::Api {
    let document = Document { name: "Catalog".to_owned(), url: "/openapi.json".to_owned() };
    rest::Api {
        title: "Holdfast: products and seats",
        services: vec![CatalogServiceServer::<CatalogRpc>::NAME],
        max_body_bytes: MAX_BODY_BYTES,
        bearer: config.auth.is_on(),
        documents: vec![document],
        more: Vec::new(),
    }
}

/// Makes what is counted of customers what their holds say; how many counts were wrong.
///
/// # Errors
/// The database refuses or is away, or `stop` came first.
pub async fn recount(config: &Config, stop: &CancellationToken) -> anyhow::Result<u64> {
    let pool = postgres::connect(&config.database, stop).await?;
    tokio::select! {
        recounted = recount::run(&pool) => recounted,
        () = stop.cancelled() => anyhow::bail!("told to stop"),
    }
}

/// Serves until `stop`, then drains. Waits for the database and its schema first.
///
/// # Errors
/// The database's URL is malformed or it refuses, the accepting of connections failed for good, or a background job died.
pub async fn serve(endpoints: Endpoints, config: &Config, stop: CancellationToken) -> anyhow::Result<()> {
    let access = Access::new(&config.auth).context("set up authentication")?;
    let health = Health::new(&[
        CatalogServiceServer::<CatalogRpc>::NAME,
        HoldServiceServer::<HoldRpc>::NAME,
        AuditServiceServer::<AuditRpc>::NAME,
    ]);
    let health = access.required_in(health.require("database").require("schema"));
    metrics::show();
    let background = CancellationToken::new();
    let stop = stop.child_token();
    let jobs = Jobs::new(&health, &stop);
    // Health is answered from the start, also while there is no database yet.
    jobs.spawn("issuer's keys", &background, access.clone().follow(health.clone(), background.clone()));
    let calls = Calls::default();
    let rest = rest::router(api(config), &config.rest, calls.clone()).context("set up REST")?;
    let http = server::serve_http(endpoints.http, health.clone(), Some(rest), background.clone());
    jobs.spawn("http", &background, http);
    let Some(pool) = postgres::boot(&MIGRATOR, &config.database, &health, &stop).await? else {
        return Ok(());
    };
    let watch = postgres::watch(pool.clone(), health.clone(), background.clone());
    jobs.spawn("database watch", &background, watch);

    let open_holds_limit = i64::from(config.max_open_holds_per_customer).try_into();
    let open_holds_limit = open_holds_limit.context("HOLDFAST_MAX_OPEN_HOLDS_PER_CUSTOMER")?;
    let settings = Settings { grace_ms: config.review_grace_ms.into(), open_holds_limit };
    let holds = HoldRpc::new(pool.clone(), settings);
    holds.supervise(&jobs, &background);
    let products_and_seats = CatalogRpc::new(pool.clone(), &health);
    products_and_seats.supervise(&jobs, &background);
    let services = Services::new()
        .with(CatalogServiceServer::new(products_and_seats))
        .with(HoldServiceServer::new(holds))
        .with(AuditServiceServer::new(AuditRpc::new(&pool)));
    let internal = [HoldServiceServer::<HoldRpc>::NAME, AuditServiceServer::<AuditRpc>::NAME];
    let admission = Admission::new(config.max_calls as usize, &internal).limit_rates(&config.rates);
    let served = server::serve(endpoints.grpc, services, health, admission, access, calls, stop).await;
    background.cancel();
    let finished = jobs.finish().await;
    pool.close().await;
    served.and(finished)
}
