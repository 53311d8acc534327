//! Very many holds open at a time: what their timers take in the broker, and what new holds make of it.

use std::time::Duration;

use anyhow::{Result, ensure};
use bytes::Bytes;
use stack::Options;

use super::Bench;
use super::peak::hold;
use super::spread::scattered;
use crate::broker;
use crate::calls::unit;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::load::{Until, closed};
use crate::site::{Site, Taken};

/// Products on which they are.
const PRODUCTS: usize = 1_000;
/// How long placing them may take.
const LIMIT: Duration = Duration::from_mins(8);

/// Against a stack of its own that has none.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let scale = &bench.scale;
    let (empty, full) = (bench.site(Options::default())?, bench.site(Options::default())?);
    let of_empty = lines(&empty, scale.products.min(PRODUCTS))?;
    let of_full = lines(&full, scale.products.min(PRODUCTS))?;
    let place = |site, lines: &[Bytes], until| closed_holds(site, scale.in_flight, until, lines);
    let mut held_empty = place(&empty, &of_empty, Until::Time(scale.warm_up))?;
    let mut held_full = place(&full, &of_full, Until::Time(scale.warm_up))?;
    full.drain()?;
    let broker = full.stack.rabbitmq();
    let idle_mb = broker::memory_mb(broker)?;
    let parked = place(&full, &of_full, Until::Count(scale.parked, LIMIT))?;
    ensure!(parked == scale.parked, "{parked} of {} holds were placed in {LIMIT:?}", scale.parked);
    held_full += parked;
    let drained = full.drain()?;
    let (parked_mb, messages) = (broker::memory_mb(broker)?, broker::waiting(broker)?);
    bench.say(format!(
        "{parked} holds parked in {messages} messages; the outbox was empty after {drained:.1?}"
    ));
    let (mut before, mut after, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        full.drain()?;
        let to_empty = hold(&empty, scale.in_flight, scale.measured, || of_empty[0].clone())?;
        empty.drain()?;
        let to_full = hold(&full, scale.in_flight, scale.measured, || of_full[0].clone())?;
        bench.say(format!("round {round}: empty {:.0}/s, parked {:.0}/s", to_empty.rate(), to_full.rate()));
        held_empty += to_empty.done;
        held_full += to_full.done;
        before.push(to_empty.rate());
        after.push(to_full.rate());
        ratios.push(to_full.rate() / to_empty.rate());
    }
    empty.check_books(Taken { held: held_empty, sold: 0 })?;
    full.check_books(Taken { held: held_full, sold: 0 })?;
    report.figure("broker's memory over idle", "MB", &[parked_mb - idle_mb], Target::AtMost(200.0));
    report.figure("new holds ÷ new holds when empty", "", &ratios, Target::AtLeast(0.9));
    report.told("broker's memory, idle", "MB", &[idle_mb]);
    report.told("broker's memory, parked", "MB", &[parked_mb]);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    report.told("messages that wait", "", &[messages as f64]);
    report.told("new holds when empty", "/s", &before);
    report.told("new holds when parked", "/s", &after);
    report.note(format!("{parked} open holds"));
    Ok(())
}

fn lines(site: &Site, count: usize) -> Result<Vec<Bytes>> {
    Ok(products(site, count, OPEN)?.into_iter().map(unit).collect())
}

/// Places holds on any of the products; how many.
fn closed_holds(site: &Site, in_flight: usize, until: Until<'_>, lines: &[Bytes]) -> Result<u64> {
    let tally = closed(&site.reservations, in_flight, until, async |caller, n| {
        caller.hold(n, &lines[scattered(n, lines.len())]).await.map(drop)
    })?;
    Ok(tally.sound()?.done)
}
