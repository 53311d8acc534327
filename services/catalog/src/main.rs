//! The catalog service: boot only.

use anyhow::Context as _;
use catalog::{Config, MIGRATOR, Subcommand, serve};
use server::Endpoints;
use telemetry::Build;
use tokio::net::TcpListener;

/// What this is.
const BUILD: Build = telemetry::build!("catalog");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (config, settings) = server::parse::<Config>();
    if let Some(Subcommand::Common(command)) = config.command
        && command.carry_out(&BUILD, &settings, config.http_listen, || config.check()).await?
    {
        return Ok(());
    }
    config.check()?;
    let _telemetry = telemetry::init(&BUILD, &config.telemetry)?;
    failpoint::arm(failpoint::Program::Catalog)?;
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
