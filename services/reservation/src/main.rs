//! The reservation service: boot only.

use std::process::ExitCode;

use reservation::{Config, MIGRATOR, RIGHTS, Subcommand, serve};
use server::Endpoints;
use telemetry::Build;

/// What this is.
const BUILD: Build = telemetry::build!("reservation");

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
    let checked = match config.command {
        Some(Subcommand::Migrate) => config.check_to_migrate(),
        Some(Subcommand::RetryParked | Subcommand::Repair) => config.check(),
        Some(Subcommand::Common(_)) | None => config.check_to_serve(),
    };
    checked.map_err(server::misconfigured)?;
    let _telemetry = telemetry::init(&BUILD, &config.telemetry)?;
    failpoint::arm(failpoint::Program::Reservation)?;
    match config.command {
        Some(Subcommand::Migrate) => {
            postgres::migrate(&MIGRATOR, RIGHTS, &config.database).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(Subcommand::RetryParked) => {
            let rows = reservation::retry_parked(&config, &server::on_terminate()).await?;
            tracing::info!(rows, "parked promises are tried again");
            return Ok(ExitCode::SUCCESS);
        }
        Some(Subcommand::Repair) => return Ok(repair(&config).await),
        Some(Subcommand::Common(_)) | None => {}
    }
    let endpoints = Endpoints::bind(config.listen, config.http_listen, &config.tls).await?;
    serve(endpoints, &config, server::on_terminate()).await.map(|()| ExitCode::SUCCESS)
}

/// Repairs the catalog and prints what came of it.
async fn repair(config: &Config) -> ExitCode {
    let mut leave = |left| println!("{left}");
    match reservation::repair(config, &server::on_terminate(), &mut leave).await {
        Ok(report) => {
            println!("{report}");
            ExitCode::from(u8::from(report.left > 0))
        }
        Err(error) => {
            eprintln!("not repaired, run it again: {error:#}");
            ExitCode::from(2)
        }
    }
}
