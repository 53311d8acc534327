//! The ports of the stack that `holdfast up` runs.

use anyhow::{Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use stack::{Ports, port};

/// Where everything listens, on 127.0.0.1 only.
#[derive(Args, Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct PortOptions {
    /// PostgreSQL.
    #[arg(long = "postgres-port", env = "HOLDFAST_POSTGRES_PORT", default_value_t = 55432)]
    pub(crate) postgres: u16,
    /// RabbitMQ, AMQP.
    #[arg(long = "amqp-port", env = "HOLDFAST_AMQP_PORT", default_value_t = 55672)]
    pub(crate) amqp: u16,
    /// catalog, gRPC.
    #[arg(long = "catalog-port", env = "HOLDFAST_CATALOG_PORT", default_value_t = 50051)]
    pub(crate) catalog: u16,
    /// reservation, gRPC.
    #[arg(long = "reservation-port", env = "HOLDFAST_RESERVATION_PORT", default_value_t = 50052)]
    pub(crate) reservation: u16,
    /// catalog, HTTP.
    #[arg(long = "catalog-http-port", env = "HOLDFAST_CATALOG_HTTP_PORT", default_value_t = 8081)]
    pub(crate) catalog_http: u16,
    /// reservation, HTTP.
    #[arg(long = "reservation-http-port", env = "HOLDFAST_RESERVATION_HTTP_PORT", default_value_t = 8082)]
    pub(crate) reservation_http: u16,
    /// expirer, HTTP.
    #[arg(long = "expirer-http-port", env = "HOLDFAST_EXPIRER_HTTP_PORT", default_value_t = 8083)]
    pub(crate) expirer_http: u16,
}

impl PortOptions {
    /// Fails with a message that says what to do when one of the ports is in use.
    pub(crate) fn check(&self) -> Result<()> {
        let wanted = [
            (self.postgres, "PostgreSQL", "HOLDFAST_POSTGRES_PORT"),
            (self.amqp, "RabbitMQ", "HOLDFAST_AMQP_PORT"),
            (self.catalog, "catalog", "HOLDFAST_CATALOG_PORT"),
            (self.reservation, "reservation", "HOLDFAST_RESERVATION_PORT"),
            (self.catalog_http, "catalog (HTTP)", "HOLDFAST_CATALOG_HTTP_PORT"),
            (self.reservation_http, "reservation (HTTP)", "HOLDFAST_RESERVATION_HTTP_PORT"),
            (self.expirer_http, "expirer (HTTP)", "HOLDFAST_EXPIRER_HTTP_PORT"),
        ];
        for (wanted, what, variable) in wanted {
            if !port::is_free(wanted) {
                let user = port::user(wanted).map(|user| format!(" by {user}")).unwrap_or_default();
                bail!(
                    "port {wanted} for {what} is in use{user}: stop that, or choose another with {variable}=…"
                )
            }
        }
        Ok(())
    }
}

impl From<PortOptions> for Ports {
    fn from(options: PortOptions) -> Self {
        Self {
            postgres: Some(options.postgres),
            amqp: Some(options.amqp),
            catalog: Some(options.catalog),
            reservation: Some(options.reservation),
            catalog_http: Some(options.catalog_http),
            reservation_http: Some(options.reservation_http),
            expirer_http: Some(options.expirer_http),
        }
    }
}
