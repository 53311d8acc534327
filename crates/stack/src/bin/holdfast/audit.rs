//! `holdfast audit`: checks the invariants of what runs.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::running::Running;
use crate::token;

/// How to audit.
#[derive(Args, Debug)]
pub(crate) struct AuditOptions {
    /// Further arguments for the program `audit`.
    #[arg(last = true)]
    arguments: Vec<OsString>,
}

/// Says that nothing can be said.
const NOT_AUDITED: u8 = 2;

/// Hands over to the program `audit`, whose exit status says what it found: 0 nothing, 1 a broken rule, 2 nothing to say.
pub(crate) fn run(home: &Path, options: &AuditOptions) -> ExitCode {
    let error = match command(home, options) {
        Ok(mut audit) => anyhow::Error::from(audit.exec()).context("run audit"),
        Err(error) => error,
    };
    eprintln!("not audited: {error:#}");
    ExitCode::from(NOT_AUDITED)
}

fn command(home: &Path, options: &AuditOptions) -> Result<Command> {
    let running = Running::require(home)?;
    let url = |port| format!("http://127.0.0.1:{port}");
    let mut audit = Command::new(stack::binary("audit")?);
    audit.args(["--catalog-url", &url(running.ports.catalog)]);
    audit.args(["--reservation-url", &url(running.ports.reservation)]);
    if running.auth {
        audit.arg("--token-file").arg(token::issuer(home)?.service_token("audit")?);
    }
    audit.args(&options.arguments);
    Ok(audit)
}
