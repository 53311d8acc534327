//! The catalog service: boot only.

use std::process::ExitCode;

use catalog::{Config, MIGRATOR, RIGHTS, Subcommand, serve};
use server::Endpoints;
use telemetry::Build;

/// What this is.
const BUILD: Build = telemetry::build!("catalog");

#[tokio::main]
async fn main() -> ExitCode {
    server::end(run().await)
}

async fn run() -> anyhow::Result<ExitCode> {
    let (config, settings) = server::parse::<Config>();
    if let Some(Subcommand::Common(command)) = config.command
        && command
            .carry_out(&BUILD, &settings, config.http_listen, &config.tls, || config.check_to_serve())
            .await?
    {
        return Ok(ExitCode::SUCCESS);
    }
    let migrates = matches!(config.command, Some(Subcommand::Migrate));
    let checked = if migrates { config.check_to_migrate() } else { config.check_to_serve() };
    checked.map_err(server::misconfigured)?;
    let _telemetry = telemetry::init(&BUILD, &config.telemetry)?;
    failpoint::arm(failpoint::Program::Catalog)?;
    if migrates {
        return postgres::migrate(&MIGRATOR, RIGHTS, &config.database).await.map(|()| ExitCode::SUCCESS);
    }
    let endpoints = Endpoints::bind(config.listen, config.http_listen, &config.tls).await?;
    serve(endpoints, &config, server::on_terminate()).await.map(|()| ExitCode::SUCCESS)
}
