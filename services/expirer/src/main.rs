//! The expirer: boot only.

use std::process::ExitCode;

use expirer::{Config, serve};
use server::Listener;
use telemetry::Build;

/// What this is.
const BUILD: Build = telemetry::build!("expirer");

#[tokio::main]
async fn main() -> ExitCode {
    server::end(run().await)
}

async fn run() -> anyhow::Result<ExitCode> {
    let (config, settings) = server::parse::<Config>();
    if let Some(command) = config.command
        && command.carry_out(&BUILD, &settings, config.http_listen, &config.tls, || config.check()).await?
    {
        return Ok(ExitCode::SUCCESS);
    }
    config.check().map_err(server::misconfigured)?;
    let _telemetry = telemetry::init(&BUILD, &config.telemetry)?;
    failpoint::arm(failpoint::Program::Expirer)?;
    let http = Listener::bind(config.http_listen, &config.tls).await?;
    serve(http, &config, server::on_terminate()).await.map(|()| ExitCode::SUCCESS)
}
