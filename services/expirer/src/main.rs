//! The expirer: boot only.

use anyhow::Context as _;
use expirer::{Config, serve};
use telemetry::Build;
use tokio::net::TcpListener;

/// What this is.
const BUILD: Build = telemetry::build!("expirer");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (config, settings) = server::parse::<Config>();
    if let Some(command) = config.command
        && command.carry_out(&BUILD, &settings, config.http_listen, || config.check()).await?
    {
        return Ok(());
    }
    config.check()?;
    let _telemetry = telemetry::init(&BUILD, &config.telemetry)?;
    failpoint::arm(failpoint::Program::Expirer)?;
    let http = TcpListener::bind(config.http_listen)
        .await
        .with_context(|| format!("bind the HTTP address {}", config.http_listen))?;
    serve(http, &config, server::on_terminate()).await
}
