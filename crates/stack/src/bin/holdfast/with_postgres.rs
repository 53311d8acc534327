//! `holdfast with-postgres -- CMD`: a command beside a private PostgreSQL.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use stack::{Postgres, Schema};

/// Runs the command and answers with its exit code.
pub(crate) fn run(command: &[OsString]) -> Result<ExitCode> {
    let (program, arguments) = command.split_first().context("no command was given")?;
    let postgres = Postgres::temporary()?;
    let mut command = Command::new(program);
    command.args(arguments).env("DATABASE_URL", postgres.url("postgres"));
    for schema in Schema::ALL {
        let name = format!("{}_DATABASE_URL", schema.name().to_uppercase());
        command.env(name, postgres.fresh(schema)?);
    }
    let status = command.status().with_context(|| format!("run {}", program.display()))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
