//! What can be set.

use std::{net::SocketAddr, time::Duration};

use amqp::AmqpConfig;
use anyhow::Context as _;
use server::{CallsConfig, TlsConfig, TokenConfig};
use telemetry::TelemetryConfig;

/// What can be set.
#[derive(clap::Parser, Clone, Debug)]
#[command(
    name = "expirer",
    version,
    about = "Carries Holdfast's verdicts on holds that fall due",
    after_help = "Options stand before the command, or in the environment, which is the same for all commands.\n\
                  It owns no data: there is nothing to migrate."
)]
pub struct Config {
    /// Where to serve health and metrics over HTTP.
    #[arg(long, env = "HOLDFAST_HTTP_LISTEN", default_value = "127.0.0.1:8083", value_name = "ADDRESS")]
    pub http_listen: SocketAddr,
    /// The catalog. Several URLs are parted by commas; each address that the name of a host has is a replica of its own.
    #[arg(long, env = "HOLDFAST_CATALOG_URL", default_value = "http://127.0.0.1:50051", value_name = "URL")]
    pub catalog_url: String,
    /// Reservation; as with the catalog.
    #[arg(
        long,
        env = "HOLDFAST_RESERVATION_URL",
        default_value = "http://127.0.0.1:50052",
        value_name = "URL"
    )]
    pub reservation_url: String,
    /// How long to rest between two sweeps, in milliseconds: the most that a hold without a timer is late, with the
    /// catalog's grace on top.
    #[arg(long, env = "HOLDFAST_SWEEP_INTERVAL_MS", default_value_t = 2_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(10..=3_600_000))]
    pub sweep_interval_ms: u32,
    /// How long after its new deadline the sweep asks again about an overdue hold that was not due, in milliseconds.
    #[arg(long, env = "HOLDFAST_REVIEW_GRACE_MS", default_value_t = 1_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(..=86_400_000))]
    pub review_grace_ms: u32,
    /// The most timer messages in hand at a time. Each waits here for up to half a second, so it bounds the rate of
    /// messages that are on time; how many of their holds are in hand is bounded apart from it.
    #[arg(long, env = "HOLDFAST_PREFETCH", default_value_t = 2_000, value_name = "MESSAGES",
          value_parser = clap::value_parser!(u16).range(1..=2_000))]
    pub prefetch: u16,
    /// Certificates.
    #[command(flatten)]
    pub tls: TlsConfig,
    /// How other services are called.
    #[command(flatten)]
    pub calls: CallsConfig,
    /// RabbitMQ.
    #[command(flatten)]
    pub amqp: AmqpConfig,
    /// What is shown to reservation and catalog.
    #[command(flatten)]
    pub token: TokenConfig,
    /// Logs and traces.
    #[command(flatten)]
    pub telemetry: TelemetryConfig,
    /// What to do; without it, serve.
    #[command(subcommand)]
    pub command: Option<server::Command>,
}

impl Config {
    /// Whether it can be used, as far as that is known without connecting to anything. Called before telemetry is set up: it
    /// makes nothing that counts.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> anyhow::Result<()> {
        self.amqp.check()?;
        self.tls.check()?;
        self.token.check()?;
        self.telemetry.check()?;
        self.calls.check(&self.catalog_url).context("read the catalog's URL")?;
        self.calls.check(&self.reservation_url).context("read reservation's URL")
    }

    /// The rest between two sweeps.
    pub(crate) fn sweep_interval(&self) -> Duration {
        Duration::from_millis(self.sweep_interval_ms.into())
    }

    /// The grace of the sweep.
    pub(crate) fn review_grace(&self) -> Duration {
        Duration::from_millis(self.review_grace_ms.into())
    }
}
