//! What the services themselves take: memory, time to start, size.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use stack::{Options, Service, Stack, binary};

use super::Bench;
use super::peak::hold;
use super::spread::scattered;
use crate::calls::unit;
use crate::cpu::Memory;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::site::Taken;

/// How often each is started.
const STARTS: usize = 5;
/// How long a start may take.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Against nothing.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let (scale, site) = (&bench.scale, bench.site(Options::default())?);
    for service in site.stack.services() {
        let starts = (0..STARTS).map(|_| start(service)).collect::<Result<Vec<_>>>()?;
        report.figure(&format!("{}: start to ready", service.name()), "ms", &starts, Target::AtMost(500.0));
    }
    let idle = resident(&site.stack)?;
    let lines: Vec<_> = products(&site, scale.products, OPEN)?.into_iter().map(unit).collect();
    let mut held = 0;
    for lines in [&lines[..1], &lines] {
        let next = std::sync::atomic::AtomicU64::new(0);
        let pick = || {
            let n = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            lines[scattered(n, lines.len())].clone()
        };
        held += hold(&site, scale.in_flight, scale.measured, pick)?.done;
    }
    site.check_books(Taken { held, sold: 0 })?;
    for ((name, idle), (_, peak)) in idle.iter().zip(&resident(&site.stack)?) {
        report.figure(&format!("{name}: memory, idle"), "MB", &[idle.resident_mb], Target::AtMost(30.0));
        report.figure(&format!("{name}: memory, at its peak"), "MB", &[peak.peak_mb], Target::AtMost(150.0));
        let length = fs::metadata(binary(name)?).with_context(|| format!("look at {name}"))?.len();
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        report.told(&format!("{name}: size of the program"), "MB", &[length as f64 / 1e6]);
    }
    report.note(
        "a start is from exec to the first 200 of /readyz, with database and broker there; asked every 10 ms",
    );
    Ok(())
}

/// Starts it anew; how long that takes, in ms.
fn start(service: &Service) -> Result<f64> {
    service.stop();
    let begun = Instant::now();
    service.spawn()?;
    service.wait_ready(START_LIMIT)?;
    Ok(begun.elapsed().as_secs_f64() * 1_000.0)
}

fn resident(stack: &Stack) -> Result<Vec<(&'static str, Memory)>> {
    let services = stack.services().iter();
    services
        .map(|service| {
            let id = service.id().context("a service has ended")?;
            Ok((service.kind().name(), Memory::of(id.pid()).context("a service has ended")?))
        })
        .collect()
}
