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
    let serves = matches!(config.command, Some(Subcommand::Common(_)) | None);
    let checked = if serves { config.check_to_serve() } else { config.check_to_migrate() };
    checked.map_err(server::misconfigured)?;
    let _telemetry = telemetry::init(&BUILD, &config.telemetry)?;
    failpoint::arm(failpoint::Program::Catalog)?;
    match config.command {
        Some(Subcommand::Migrate) => {
            postgres::migrate(&MIGRATOR, RIGHTS, &config.database).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Subcommand::Recount) => {
            let wrong = catalog::recount(&config, &server::on_terminate()).await?;
            println!("{wrong} counts were wrong, and are right now");
            return Ok(ExitCode::SUCCESS);
        }
        Some(Subcommand::Common(_)) | None => {}
    }
    let endpoints = Endpoints::bind(config.listen, config.http_listen, &config.tls).await?;
    serve(endpoints, &config, server::on_terminate()).await.map(|()| ExitCode::SUCCESS)
}
