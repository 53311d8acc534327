//! `holdfast up`: starts everything, or says that it runs already.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use stack::{Options, Stack};

use crate::down;
use crate::ports::PortOptions;
use crate::running::{MemberKind, Running, Turn};

/// Starts everything that is not there yet and leaves it running; on failure nothing of it stays.
pub(crate) fn run(home: &Path, ports: PortOptions) -> Result<()> {
    let start = Instant::now();
    let _turn = Turn::take(home)?;
    if let Some(running) = Running::load(home)?
        && keep(home, &running, ports)?
    {
        println!("Holdfast is already running: `make status` tells where, `make down` stops it.");
        return Ok(());
    }
    ports.check()?;
    let options = Options {
        home: Some(home.to_owned()),
        durable: true,
        ports: ports.into(),
        progress: Some(step),
        ..Options::default()
    };
    let stack = Stack::start(options).context("Holdfast did not start, and nothing of it is left running")?;
    Running::of(&stack, ports).save(home)?;
    stack.home().release()?;
    println!("Holdfast is up ({:.1} s).", start.elapsed().as_secs_f64());
    Ok(())
}

/// Whether what runs is whole, current and where it should be. What is not is stopped, to be started again.
fn keep(home: &Path, running: &Running, ports: PortOptions) -> Result<bool> {
    let ended: Vec<&str> = running.ended().iter().map(|member| member.name.as_str()).collect();
    let services = running.members.iter().filter(|member| member.kind == MemberKind::Service);
    let why = if !ended.is_empty() {
        format!("{} has ended", ended.join(", "))
    } else if running.ports != ports {
        "other ports are wanted".to_owned()
    } else if services.into_iter().any(|member| member.id.program_was_replaced()) {
        "the services were built anew".to_owned()
    } else {
        return Ok(true);
    };
    println!("Holdfast runs, but {why}: starting it again.");
    down::stop(home, running)?;
    Ok(false)
}

fn step(name: &str, took: Duration) {
    println!("  {name:<28} {:>6.1} s", took.as_secs_f64());
}
