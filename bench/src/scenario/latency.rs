//! Latency under half of the load that is possible, counted from when each call was meant to be made.

use anyhow::{Context, Result};
use stack::Options;

use super::Bench;
use super::peak::hold;
use crate::calls::unit;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::load::{Arrivals, Tally, open};
use crate::site::Taken;

/// How many calls may be under way.
const UNDER_WAY: usize = 1_024;

/// Against a call when nothing else runs.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let (scale, site) = (&bench.scale, bench.site(Options::default())?);
    let line = unit(products(&site, 1, OPEN)?[0]);
    let hold_for = |in_flight, time| hold(&site, in_flight, time, || line.clone());
    let mut held = hold_for(scale.in_flight, scale.warm_up)?.done;
    let (mut ratios, mut peaks, mut unsent) = (Vec::new(), Vec::new(), 0);
    let (mut calm, mut busy) = (Tally::default(), Tally::default());
    for round in 1..=scale.rounds {
        site.drain()?;
        let idle = hold_for(1, scale.measured / 2)?;
        let peak = hold_for(scale.in_flight, scale.measured / 2)?;
        site.drain()?;
        let arrivals = Arrivals { rate: peak.rate() / 2.0, time: scale.measured, under_way: UNDER_WAY };
        let half =
            open(&site.reservations, arrivals, async |caller, n| caller.hold(n, &line).await.map(drop))?;
        let half = half.sound().context("holds at half of the peak")?;
        let (p50, p99) = (idle.at(0.5), half.at(0.99));
        bench.say(format!(
            "round {round}: idle p50 {p50:.2} ms, peak {:.0}/s, at half of it p99 {p99:.2} ms",
            peak.rate()
        ));
        held += idle.done + peak.done + half.done;
        unsent += half.unsent;
        ratios.push(p99 / p50);
        peaks.push(peak.rate());
        calm.merge(&idle);
        busy.merge(&half);
    }
    site.check_books(Taken { held, sold: 0 })?;
    report.figure("p99 at half of the peak ÷ p50 of an idle call", "", &ratios, Target::AtMost(10.0));
    report.told("peak", "/s", &peaks);
    report.latencies.push(calm.latency("latency: idle, one call at a time"));
    report.latencies.push(busy.latency("latency: at half of the peak"));
    if unsent > 0 {
        report.note(format!("{unsent} calls were not sent, as {UNDER_WAY} were under way"));
    }
    Ok(())
}
