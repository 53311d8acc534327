//! `holdfast logs`: the ends of the logs.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;

/// Which logs, and how.
#[derive(Args, Debug)]
pub(crate) struct LogsOptions {
    /// Only the log of this part: catalog, reservation, expirer, postgres or rabbitmq.
    part: Option<String>,
    /// Goes on showing what is written.
    #[arg(short, long)]
    follow: bool,
    /// How many lines of each log.
    #[arg(short = 'n', long, default_value_t = 40)]
    lines: usize,
}

/// Hands over to tail(1).
pub(crate) fn run(home: &Path, options: &LogsOptions) -> Result<ExitCode> {
    let logs = logs(home);
    ensure!(!logs.is_empty(), "there are no logs yet: `make up` starts Holdfast");
    let name = |log: &PathBuf| log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let wanted: Vec<&PathBuf> = match &options.part {
        Some(part) => logs.iter().filter(|log| name(log) == *part).collect(),
        None => logs.iter().collect(),
    };
    let names = logs.iter().map(name).collect::<Vec<_>>().join(", ");
    ensure!(!wanted.is_empty(), "there is no such log; there are: {names}");
    let mut tail = Command::new("tail");
    tail.arg("-n").arg(options.lines.to_string());
    if options.follow {
        tail.arg("-F");
    }
    Err(tail.args(wanted).exec()).context("run tail")
}

fn logs(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.join("logs")).into_iter().flatten().flatten();
    let mut logs: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    logs.retain(|log| {
        log.extension() == Some(OsStr::new("log")) && log.file_stem() != Some(OsStr::new("epmd"))
    });
    logs.sort();
    logs
}
