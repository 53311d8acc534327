//! How late holds are released that run out, under a steady load of short ones.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stack::wait;

use super::Bench;
use crate::calls::unit;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::load::{Arrivals, Tally, open};
use crate::releases::{self, lags};
use crate::site::Taken;

/// How long a hold lasts, in seconds.
const HOLD_SECONDS: u32 = 5;
/// When the last one must have been released.
const LIMIT: Duration = Duration::from_secs(30);

/// Against nothing but the clock.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let (scale, site) = (&bench.scale, bench.site(releases::timed())?);
    let line = unit(products(&site, 1, OPEN)?[0]);
    let place = |time| {
        let arrivals = Arrivals { rate: scale.expiry_rate, time, under_way: 1_024 };
        let placed = open(&site.reservations, arrivals, async |caller, n| {
            caller.hold_for(n, &line, HOLD_SECONDS).await.map(drop)
        })?;
        placed.sound().context("short holds")
    };
    place(scale.warm_up)?;
    let (mut p50, mut p99, mut longest, mut all) = (Vec::new(), Vec::new(), Vec::new(), Tally::default());
    for round in 1..=scale.rounds {
        let from = releases::now(&site)?;
        let placed = place(scale.expiry_time)?;
        let over = wait::until(LIMIT, || site.taken().is_ok_and(|taken| taken == Taken::default()));
        ensure!(over, "holds are there {LIMIT:?} after the last one was placed");
        let released = releases::since(&site, from)?;
        ensure!(
            released.len() as u64 == placed.done,
            "{} were placed, {} ran out",
            placed.done,
            released.len()
        );
        let late = lags(&released).latency("");
        bench.say(format!(
            "round {round}: {} holds, p50 {:.1} ms, p99 {:.1} ms, max {:.1} ms late, none early",
            placed.done, late.p50_ms, late.p99_ms, late.max_ms
        ));
        p50.push(late.p50_ms);
        p99.push(late.p99_ms);
        longest.push(late.max_ms);
        all.merge(&lags(&released));
    }
    site.check_books(Taken::default())?;
    report.figure("p99 from deadline to commit of the release", "ms", &p99, Target::AtMost(20.0));
    report.figure("longest", "ms", &longest, Target::AtMost(200.0));
    report.told("p50", "ms", &p50);
    report.latencies.push(all.latency("expiry: from deadline to release"));
    report.note("none was released early, by the clock of the database and the time of the commit");
    let expirer = site.stack.expirer().get("/metrics")?.body;
    for line in expirer.lines().filter(|line| line.starts_with("holdfast_expiry_lag_seconds_count")) {
        report.note(format!("the expirer's own count: {line}"));
    }
    Ok(())
}
