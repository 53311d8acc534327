//! Very many holds that run out within one second, while others are placed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use stack::wait;

use super::Bench;
use super::peak::hold;
use crate::calls::unit;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::load::{Tally, Until, closed};
use crate::releases;
use crate::site::{Site, Taken};

/// What placing them may take at most, and releasing them.
const PLACE_LIMIT: Duration = Duration::from_mins(2);
const DRAIN_LIMIT: Duration = Duration::from_mins(1);
/// Products that are held; one more is for those who come meanwhile.
const PRODUCTS: usize = 100;

/// What one storm came to.
struct Storm {
    /// From the first deadline to the last release.
    drained: Duration,
    /// Holds placed each second before it, and meanwhile.
    before: f64,
    meanwhile: f64,
}

/// Against the rate of holds when nothing runs out.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let (scale, site) = (&bench.scale, bench.site(releases::timed())?);
    let mut lines: Vec<Bytes> = products(&site, PRODUCTS + 1, OPEN)?.into_iter().map(unit).collect();
    let calm = lines.remove(0);
    let mut held = hold(&site, scale.in_flight, scale.warm_up, || calm.clone())?.done;
    let (mut drained, mut rates, mut kept) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        let storm = one(bench, &site, &lines, &calm, &mut held).with_context(|| format!("round {round}"))?;
        let seconds = storm.drained.as_secs_f64();
        bench.say(format!(
            "round {round}: drained in {seconds:.2} s; meanwhile {:.0}/s of {:.0}/s",
            storm.meanwhile, storm.before
        ));
        drained.push(seconds);
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        rates.push(scale.storm as f64 / seconds);
        kept.push(storm.meanwhile / storm.before);
    }
    site.check_books(Taken { held, sold: 0 })?;
    report.figure("from the first deadline to the last release", "s", &drained, Target::AtMost(8.0));
    report.figure("holds placed meanwhile ÷ holds when it is calm", "", &kept, Target::AtLeast(0.5));
    report.told("holds released", "/s", &rates);
    report.note(format!("{} holds due within one second, on {PRODUCTS} products", scale.storm));
    Ok(())
}

/// One storm.
fn one(bench: &Bench, site: &Site, lines: &[Bytes], calm: &Bytes, held: &mut u64) -> Result<Storm> {
    let scale = &bench.scale;
    site.drain()?;
    let before = hold(site, scale.in_flight, scale.measured / 2, || calm.clone())?;
    *held += before.done;
    site.drain()?;
    let from = releases::now(site)?;
    // Whole seconds to go, so that all run out within the one second after it, each at its own moment.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let placing = Duration::from_secs_f64((scale.storm as f64 / before.rate() * 2.0).ceil() + 3.0);
    let due = Instant::now() + placing;
    place(site, scale.in_flight, scale.storm, due, lines)?;
    let early = due.saturating_duration_since(Instant::now());
    bench.say(format!("{} holds placed, due in {:.1} s", scale.storm, early.as_secs_f64()));
    thread::sleep(early);
    let (over, began) = (AtomicBool::new(false), Instant::now());
    let meanwhile = thread::scope(|scope| {
        let load = scope.spawn(|| place_until(site, scale.in_flight, calm, &over));
        // Only the product of those who come meanwhile is held in the end.
        let drained = wait::until(DRAIN_LIMIT, || {
            thread::sleep(Duration::from_millis(100));
            site.products_held().is_ok_and(|products| products == 1)
        });
        over.store(true, Ordering::Relaxed);
        ensure!(drained, "holds of the storm are there {DRAIN_LIMIT:?} after their time");
        load.join().map_err(|_| anyhow::anyhow!("the load panicked"))?
    })?;
    *held += meanwhile.done;
    let all = releases::since(site, from)?;
    ensure!(all.len() as u64 == scale.storm, "{} were placed, {} ran out", scale.storm, all.len());
    let first = all.iter().map(|release| release.deadline).min().context("nothing ran out")?;
    let latest = all.iter().map(|release| release.deadline).max().context("nothing ran out")?;
    let last = all.iter().map(|release| release.released).max().context("nothing ran out")?;
    bench.say(format!("deadlines within {} ms", (latest - first) / 1_000));
    let drained = Duration::from_micros(u64::try_from(last - first)?);
    let window = drained.min(began.elapsed()).max(Duration::from_millis(500));
    Ok(Storm { drained, before: before.rate(), meanwhile: meanwhile.rate_between(Duration::ZERO, window) })
}

/// Places so many holds that all run out within the second after `due`.
fn place(site: &Site, in_flight: usize, count: u64, due: Instant, lines: &[Bytes]) -> Result<()> {
    let placed =
        closed(&site.reservations, in_flight, Until::Count(count, PLACE_LIMIT), async |caller, n| {
            let line = &lines[usize::try_from(n).unwrap_or_default() % lines.len()];
            let seconds = due.saturating_duration_since(Instant::now()).as_secs();
            caller.hold_for(n, line, u32::try_from(seconds + 1).unwrap_or(u32::MAX)).await.map(drop)
        })?
        .sound()?;
    ensure!(placed.done == count, "{} of {count} holds were placed in {PLACE_LIMIT:?}", placed.done);
    ensure!(Instant::now() < due, "placing took longer than the time that there was");
    Ok(())
}

fn place_until(site: &Site, in_flight: usize, line: &Bytes, over: &AtomicBool) -> Result<Tally> {
    let until = Until::Said(over, DRAIN_LIMIT + Duration::from_secs(5));
    let tally =
        closed(&site.reservations, in_flight, until, async |caller, n| caller.hold(n, line).await.map(drop))?;
    tally.sound().context("holds during the storm")
}
