//! What can be set.

use std::time::Duration;

use server::{CallsConfig, TokenConfig};

/// Whom to ask, and how strictly to judge.
#[derive(clap::Args, Clone, Debug)]
pub struct Options {
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
    /// How long a hold may outlive its time, and a settlement wait, before it counts as overdue, in milliseconds: the
    /// sweep's interval (2 s) and grace (1 s), and a margin.
    #[arg(long, env = "HOLDFAST_AUDIT_OVERDUE_LIMIT_MS", default_value_t = 10_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(..=172_800_000))]
    pub overdue_limit_ms: u32,
    /// How far the clocks of the two databases may be apart, in milliseconds: a release is early only by more than this.
    #[arg(long, env = "HOLDFAST_AUDIT_CLOCK_TOLERANCE_MS", default_value_t = 500, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(..=3_600_000))]
    pub clock_tolerance_ms: u32,
    /// How long a hold under suspicion is looked at again, to see whether it was only in flight, in milliseconds.
    #[arg(long, env = "HOLDFAST_AUDIT_SECOND_LOOK_MS", default_value_t = 10_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(..=3_600_000))]
    pub second_look_ms: u32,
    /// How long to wait for a service that is away or busy before the audit is given up, in milliseconds.
    #[arg(long, env = "HOLDFAST_AUDIT_PATIENCE_MS", default_value_t = 10_000, value_name = "MS",
          value_parser = clap::value_parser!(u32).range(..=3_600_000))]
    pub patience_ms: u32,
    /// How many holds, seats or bookings to ask for at once.
    #[arg(long, env = "HOLDFAST_AUDIT_PAGE", default_value_t = 2_000, value_name = "COUNT",
          value_parser = clap::value_parser!(u16).range(1..=5_000))]
    pub page: u16,
    /// How the services are called.
    #[command(flatten)]
    pub calls: CallsConfig,
    /// What is shown to both: they need a token of the role service, where they ask who calls.
    #[command(flatten)]
    pub token: TokenConfig,
}

impl Default for Options {
    /// As on the command line, without the environment.
    fn default() -> Self {
        Self {
            catalog_url: "http://127.0.0.1:50051".to_owned(),
            reservation_url: "http://127.0.0.1:50052".to_owned(),
            overdue_limit_ms: 10_000,
            clock_tolerance_ms: 500,
            second_look_ms: 10_000,
            patience_ms: 10_000,
            page: 2_000,
            calls: CallsConfig::default(),
            token: TokenConfig::default(),
        }
    }
}

impl Options {
    pub(crate) fn second_look(&self) -> Duration {
        Duration::from_millis(self.second_look_ms.into())
    }

    pub(crate) fn patience(&self) -> Duration {
        Duration::from_millis(self.patience_ms.into())
    }

    pub(crate) fn page(&self) -> i32 {
        self.page.into()
    }
}
