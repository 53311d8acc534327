//! `holdfast up`: starts everything, or says that it runs already.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use stack::{Options, Stack};

use crate::client::{Clients, block_on};
use crate::demo_data;
use crate::down;
use crate::output::line;
use crate::ports::PortOptions;
use crate::running::{MemberKind, Running, Turn};
use crate::try_it;

/// How to run it.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct UpOptions {
    #[command(flatten)]
    ports: PortOptions,
    /// Ask callers who they are: by tokens, as `holdfast token` makes them.
    #[arg(long)]
    auth: bool,
}

/// Starts everything that is not there yet and leaves it running; on failure nothing of it stays.
pub(crate) fn run(home: &Path, options: &UpOptions) -> Result<()> {
    let UpOptions { ports, auth } = *options;
    let start = Instant::now();
    let _turn = Turn::take(home)?;
    if let Some(running) = Running::load(home)?
        && keep(home, &running, options)?
    {
        line("Holdfast is already running: `make status` tells where, `make down` stops it.");
        return show_commands(home, options);
    }
    ports.check()?;
    let wanted = Options {
        home: Some(home.to_owned()),
        durable: true,
        auth,
        ports: ports.into(),
        progress: Some(step),
        ..Options::default()
    };
    let failed = "Holdfast did not start, and nothing of it is left running";
    let stack = Stack::start(wanted).context(failed)?;
    block_on(async {
        let clients = Clients::connect(home, &ports, auth).await?;
        let loading = Instant::now();
        demo_data::load(&clients).await?;
        step("demo data loaded", loading.elapsed());
        Running::of(&stack, ports, auth).save(home)?;
        stack.home().release()?;
        anyhow::Ok(())
    })
    .context(failed)?;
    line(format_args!("Holdfast is up ({:.1} s).", start.elapsed().as_secs_f64()));
    show_commands(home, options)
}

/// Whether what runs is whole, current and where it should be. What is not is stopped, to be started again.
fn keep(home: &Path, running: &Running, wanted: &UpOptions) -> Result<bool> {
    let ended: Vec<&str> = running.ended().iter().map(|member| member.name.as_str()).collect();
    let services = running.members.iter().filter(|member| member.kind == MemberKind::Service);
    let why = if !ended.is_empty() {
        format!("{} has ended", ended.join(", "))
    } else if running.ports != wanted.ports {
        "other ports are wanted".to_owned()
    } else if running.auth != wanted.auth {
        let how = if wanted.auth { "with" } else { "without" };
        format!("it is wanted {how} authentication")
    } else if services.into_iter().any(|member| member.id.program_was_replaced()) {
        "the services were built anew".to_owned()
    } else {
        return Ok(true);
    };
    line(format_args!("Holdfast runs, but {why}: starting it again."));
    down::stop(home, running)?;
    Ok(false)
}

fn show_commands(home: &Path, options: &UpOptions) -> Result<()> {
    let UpOptions { ports, auth } = options;
    if !auth {
        line(
            "WARNING: nobody is asked who they are; on 127.0.0.1 whoever is on this machine may do everything (AUTH=1 make up).",
        );
    }
    block_on(async { try_it::print(&Clients::connect(home, ports, *auth).await?, ports, *auth).await })
}

fn step(name: &str, took: Duration) {
    line(format_args!("  {name:<28} {:>6.1} s", took.as_secs_f64()));
}
