//! The reservation service: boot only.

use anyhow::Context as _;
use clap::Parser as _;
use reservation::{Config, MIGRATOR, Subcommand, serve};
use server::Endpoints;
use telemetry::Build;
use tokio::net::TcpListener;

/// What this is.
const BUILD: Build = telemetry::build!("reservation");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let _telemetry = telemetry::init(&BUILD, &config.telemetry)?;
    failpoint::arm(failpoint::Program::Reservation)?;
    match config.command {
        Some(Subcommand::Migrate) => return postgres::migrate(&MIGRATOR, &config.database).await,
        Some(Subcommand::RetryParked) => {
            let rows = reservation::retry_parked(&config, &server::on_terminate()).await?;
            tracing::info!(rows, "parked promises are tried again");
            return Ok(());
        }
        None => {}
    }
    let endpoints = Endpoints {
        grpc: TcpListener::bind(config.listen)
            .await
            .with_context(|| format!("bind the gRPC address {}", config.listen))?,
        http: TcpListener::bind(config.http_listen)
            .await
            .with_context(|| format!("bind the HTTP address {}", config.http_listen))?,
    };
    serve(endpoints, &config, server::on_terminate()).await
}
