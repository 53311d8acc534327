//! Whole lives of bookings: held, then paid; some are cancelled instead, some paid back.

use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use stack::Options;

use super::Bench;
use super::peak::{hold, tell_cpu};
use crate::calls::unit;
use crate::cpu::Usage;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::load::{Tally, Until, closed};
use crate::site::{Site, Taken};

/// What was acknowledged beyond the hold.
#[derive(Default)]
struct Ends {
    paid: AtomicU64,
    refunded: AtomicU64,
}

/// Against holds alone, on the same product.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let (scale, site, ends) = (&bench.scale, bench.site(Options::default())?, Ends::default());
    let line = unit(products(&site, 1, OPEN)?[0]);
    let live_for = |time| live(&site, scale.in_flight, Until::Time(time), &line, &ends);
    let mut held = hold(&site, scale.in_flight, scale.warm_up, || line.clone())?.done;
    live_for(scale.warm_up)?;
    let (mut holds, mut lives, mut ratios, mut drained_ms) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut cpu, mut all) = (Vec::new(), Tally::default());
    for round in 1..=scale.rounds {
        site.drain()?;
        let held_now = hold(&site, scale.in_flight, scale.measured, || line.clone())?;
        held += held_now.done;
        site.drain()?;
        let before = Usage::of(&site.stack);
        let whole = live_for(scale.measured)?;
        let drained = site.drain()?;
        cpu.push(Usage::of(&site.stack).micros_each_since(&before, whole.done));
        bench.say(format!(
            "round {round}: holds {:.0}/s, whole lives {:.0}/s",
            held_now.rate(),
            whole.rate()
        ));
        holds.push(held_now.rate());
        lives.push(whole.rate());
        ratios.push(whole.rate() / held_now.rate());
        drained_ms.push(drained.as_secs_f64() * 1_000.0);
        all.merge(&whole);
    }
    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    site.check_books(Taken { held, sold: count(&ends.paid) - count(&ends.refunded) })?;
    report.figure("whole lives ÷ holds", "", &ratios, Target::AtLeast(0.35));
    report.told("whole lives", "/s", &lives);
    report.told("holds", "/s", &holds);
    report.told("the outbox was empty after", "ms", &drained_ms);
    tell_cpu(report, "", &cpu);
    report.latencies.push(all.latency("life: from the hold to the end, at the peak"));
    Ok(())
}

/// Of ten bookings two are cancelled and eight paid for, one of which is paid back.
fn live(site: &Site, in_flight: usize, until: Until<'_>, line: &Bytes, ends: &Ends) -> Result<Tally> {
    let tally = closed(&site.reservations, in_flight, until, async |caller, n| {
        let id = caller.hold(n, line).await?;
        match n % 10 {
            0 | 1 => return caller.cancel(id).await,
            2 => {
                caller.pay(id).await?;
                caller.refund(id).await?;
                ends.refunded.fetch_add(1, Ordering::Relaxed);
            }
            _ => caller.pay(id).await?,
        }
        ends.paid.fetch_add(1, Ordering::Relaxed);
        Ok(())
    })?;
    tally.sound().context("whole lives")
}
