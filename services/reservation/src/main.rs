//! The reservation service: boot only.

use anyhow::Context as _;
use clap::Parser as _;
use reservation::{Config, MIGRATOR, Subcommand, serve};
use server::Endpoints;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let config = Config::parse();
    let _telemetry = telemetry::init("reservation", &config.telemetry)?;
    failpoint::arm(failpoint::Program::Reservation)?;
    if let Some(Subcommand::Migrate) = config.command {
        return postgres::migrate(&MIGRATOR, &config.database).await;
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
