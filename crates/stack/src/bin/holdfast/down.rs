//! `holdfast down`: stops what `holdfast up` left running, the last started first.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use stack::{Process, Signal};

use crate::output::line;
use crate::running::{MemberKind, Running, Turn};

/// How long each may take before it is killed.
const LIMIT: Duration = Duration::from_secs(30);

/// Stops everything that runs.
pub(crate) fn run(home: &Path) -> Result<()> {
    let _turn = Turn::take(home)?;
    let Some(running) = Running::load(home)? else {
        line("Holdfast is not running.");
        return Ok(());
    };
    stop(home, &running)?;
    line("Holdfast is down. Its data is kept: `make up` goes on with it, `make clean` removes it.");
    Ok(())
}

/// Stops the members of a record; the caller has the turn.
pub(crate) fn stop(home: &Path, running: &Running) -> Result<()> {
    for member in running.members.iter().rev() {
        let Some(mut process) = Process::adopt(member.id) else { continue };
        let start = Instant::now();
        let signal = match member.kind {
            MemberKind::Postgres => Signal::INT,
            MemberKind::Epmd => Signal::KILL,
            MemberKind::RabbitMq | MemberKind::Service => Signal::TERM,
        };
        process.end(signal, LIMIT);
        if member.kind != MemberKind::Epmd {
            line(format_args!(
                "  {:<28} {:>6.1} s",
                format!("{} stopped", member.name),
                start.elapsed().as_secs_f64()
            ));
        }
    }
    Running::remove(home)
}
