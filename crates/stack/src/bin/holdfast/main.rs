//! The command line behind the Makefile: runs Holdfast on this machine, and what developing it needs.

mod audit;
mod clean;
mod client;
mod demo;
mod demo_data;
mod down;
mod logs;
mod output;
mod ports;
mod psql;
mod running;
mod sqlx_data;
mod status;
mod token;
mod try_it;
mod up;
mod with_postgres;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Runs Holdfast on this machine.
#[derive(Parser)]
#[command(name = "holdfast", version)]
struct Arguments {
    /// The folder for data, logs and the record of what runs.
    #[arg(long, env = "HOLDFAST_HOME", default_value = ".holdfast")]
    home: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Starts a private PostgreSQL and RabbitMQ and the three services, and loads demo data.
    Up(up::UpOptions),
    /// Stops them. Data is kept.
    Down,
    /// Tells what runs, where, and whether it is ready.
    Status,
    /// Shows the logs.
    Logs(logs::LogsOptions),
    /// Opens psql on a database.
    Psql(psql::PsqlOptions),
    /// Prints a token for what runs with `up --auth`.
    Token(token::TokenOptions),
    /// Checks the invariants of the running Holdfast across both databases, while it works.
    Audit(audit::AuditOptions),
    /// Stops everything and removes its data and logs.
    Clean,
    /// Drives the running Holdfast through the life of bookings and shows what happens.
    Demo,
    /// Runs a command beside a private, migrated PostgreSQL that goes with it.
    ///
    /// The command finds the databases in `CATALOG_DATABASE_URL` and `RESERVATION_DATABASE_URL`, and in `DATABASE_URL` one that
    /// tests may make databases of their own beside.
    WithPostgres {
        /// The command and its arguments.
        #[arg(required = true, last = true)]
        command: Vec<OsString>,
    },
    /// The committed data of the sqlx macros (services/*/.sqlx).
    #[command(subcommand)]
    Sqlx(sqlx_data::Action),
}

fn main() -> ExitCode {
    let Arguments { home, command } = Arguments::parse();
    match run(&home, command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(home: &Path, command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(options) => up::run(home, &options)?,
        Command::Down => down::run(home)?,
        Command::Status => return status::run(home),
        Command::Logs(options) => return logs::run(home, &options),
        Command::Psql(options) => return psql::run(home, &options),
        Command::Audit(options) => return Ok(audit::run(home, &options)),
        Command::Token(options) => token::run(home, &options)?,
        Command::Clean => clean::run(home)?,
        Command::Demo => demo::run(home)?,
        Command::WithPostgres { command } => return with_postgres::run(&command),
        Command::Sqlx(action) => sqlx_data::run(action)?,
    }
    Ok(ExitCode::SUCCESS)
}
