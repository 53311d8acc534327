//! The peak rate of holds, whatever they are on, against raw SQL and against the bare call.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;

use super::Bench;
use crate::cpu::Usage;
use crate::figure::{Report, Target};
use crate::load::{Tally, Until, closed};
use crate::naive::Naive;
use crate::site::{Site, Taken};

/// What is held, and what it is compared with.
pub(super) struct Peak<F> {
    /// How many products raw SQL has.
    pub(super) sql_products: usize,
    /// What that is called.
    pub(super) sql_name: &'static str,
    /// How many times as fast Holdfast is to be.
    pub(super) at_least: f64,
    /// The line of the hold with this number.
    pub(super) pick: F,
}

/// Each round, in its order.
#[derive(Default)]
struct Rounds {
    sql: Vec<f64>,
    echo: Vec<f64>,
    holds: Vec<f64>,
    by_sql: Vec<f64>,
    by_echo: Vec<f64>,
    drained_ms: Vec<f64>,
    cpu: Vec<Vec<(String, f64)>>,
    all: Tally,
}

/// Measures in rounds: raw SQL, the bare call, holds.
pub(super) fn measure<F>(bench: &Bench, report: &mut Report, site: &Site, peak: &Peak<F>) -> Result<()>
where
    F: Fn(u64) -> Bytes + Sync,
{
    let (scale, next) = (&bench.scale, AtomicU64::new(0));
    let pick = || (peak.pick)(next.fetch_add(1, Ordering::Relaxed));
    let naive =
        Naive::prepare(site.stack.postgres(), site.stack.home().dir().join("pgbench"), peak.sql_products)?;
    naive.run(scale.sql_clients, scale.warm_up)?;
    bench.echo.run(scale.in_flight, scale.warm_up / 2)?;
    let mut acknowledged = hold(site, scale.in_flight, scale.warm_up, pick)?.done;
    let mut rounds = Rounds::default();
    for round in 1..=scale.rounds {
        site.drain()?;
        let sql = naive.run(scale.sql_clients, scale.measured)?.rate;
        let echo = bench.echo.run(scale.in_flight, scale.measured / 2)?.rate();
        let before = Usage::of(&site.stack);
        let tally = hold(site, scale.in_flight, scale.measured, pick)?;
        let drained = site.drain()?;
        let holds = tally.rate();
        rounds.cpu.push(Usage::of(&site.stack).micros_each_since(&before, tally.done));
        bench.say(format!("round {round}: N {sql:.0}/s, E {echo:.0}/s, holds {holds:.0}/s"));
        acknowledged += tally.done;
        rounds.all.merge(&tally);
        rounds.sql.push(sql);
        rounds.echo.push(echo);
        rounds.holds.push(holds);
        rounds.by_sql.push(holds / sql);
        rounds.by_echo.push(holds / echo);
        rounds.drained_ms.push(drained.as_secs_f64() * 1_000.0);
    }
    site.check_books(Taken { held: acknowledged, sold: 0 })?;
    rounds.tell(report, peak.sql_name, peak.at_least);
    Ok(())
}

/// Holds as fast as it goes.
pub(super) fn hold(
    site: &Site,
    in_flight: usize,
    time: Duration,
    pick: impl Fn() -> Bytes + Sync,
) -> Result<Tally> {
    let tally = closed(&site.reservations, in_flight, Until::Time(time), async |caller, n| {
        caller.hold(n, &pick()).await.map(drop)
    })?;
    tally.sound().context("holds")
}

impl Rounds {
    fn tell(&self, report: &mut Report, sql_name: &str, at_least: f64) {
        report.figure(
            &format!("holds ÷ baseline N ({sql_name})"),
            "",
            &self.by_sql,
            Target::AtLeast(at_least),
        );
        report.figure("holds ÷ baseline E", "", &self.by_echo, Target::AtLeast(0.35));
        report.told("holds", "/s", &self.holds);
        report.told(&format!("baseline N ({sql_name})"), "/s", &self.sql);
        report.told("baseline E", "/s", &self.echo);
        report.told("the outbox was empty after", "ms", &self.drained_ms);
        tell_cpu(report, "", &self.cpu);
        report.latencies.push(self.all.latency(&format!("{}: at the peak", report.scenario)));
    }
}

/// Tells the processor time of each part, from each round. `what`: for what, where that is not the scenario's only thing.
pub(super) fn tell_cpu(report: &mut Report, what: &str, rounds: &[Vec<(String, f64)>]) {
    let parts = rounds.first().map_or(0, Vec::len);
    for part in 0..parts {
        let each: Vec<f64> = rounds.iter().filter_map(|round| Some(round.get(part)?.1)).collect();
        report.told(&format!("{what}processor time of {}", rounds[0][part].0), "µs each", &each);
    }
}
