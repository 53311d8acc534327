//! The expirer: boot only.

use expirer::{Config, serve};
use server::Listener;
use telemetry::Build;

/// What this is.
const BUILD: Build = telemetry::build!("expirer");

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let (config, settings) = server::parse::<Config>();
    if let Some(command) = config.command
        && command.carry_out(&BUILD, &settings, config.http_listen, &config.tls, || config.check()).await?
    {
        return Ok(());
    }
    config.check()?;
    let _telemetry = telemetry::init(&BUILD, &config.telemetry)?;
    failpoint::arm(failpoint::Program::Expirer)?;
    let http = Listener::bind(config.http_listen, &config.tls).await?;
    serve(http, &config, server::on_terminate()).await
}
