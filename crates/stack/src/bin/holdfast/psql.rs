//! `holdfast psql`: a prompt on one of the databases.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};

use crate::running::Running;

/// Which database.
#[derive(Args, Debug)]
pub(crate) struct PsqlOptions {
    /// The database.
    #[arg(value_enum, default_value_t = Database::Catalog)]
    database: Database,
    /// Further arguments for psql.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Database {
    Catalog,
    Reservation,
}

/// Hands over to psql.
pub(crate) fn run(home: &Path, options: &PsqlOptions) -> Result<ExitCode> {
    let running = Running::require(home)?;
    let database = match options.database {
        Database::Catalog => "catalog",
        Database::Reservation => "reservation",
    };
    let url = format!("postgres://postgres@127.0.0.1:{}/{database}", running.ports.postgres);
    let psql = stack::postgres_program("psql")?;
    Err(Command::new(psql).arg(url).args(&options.arguments).exec()).context("run psql")
}
