//! One call at a time, nothing else running.

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::peak::hold;
use crate::calls::unit;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::load::Tally;
use crate::naive::Naive;
use crate::site::Taken;

/// Against raw SQL with one client.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let (scale, site) = (&bench.scale, bench.site(Options::default())?);
    let line = unit(products(&site, 1, OPEN)?[0]);
    let naive = Naive::prepare(site.stack.postgres(), site.stack.home().dir().join("pgbench"), 1)?;
    naive.run(1, scale.warm_up)?;
    let mut held = hold(&site, 1, scale.warm_up, || line.clone())?.done;
    let (mut ratios, mut sql, mut calls, mut echoes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut all = Tally::default();
    for round in 1..=scale.rounds {
        site.drain()?;
        let sql_p50 = naive.run(1, scale.measured)?.p50_ms;
        let echo = bench.echo.run(1, scale.measured / 2)?.at(0.5);
        let idle = hold(&site, 1, scale.measured, || line.clone())?;
        let p50 = idle.at(0.5);
        bench.say(format!(
            "round {round}: p50 of N {sql_p50:.3} ms, of E {echo:.3} ms, of a hold {p50:.3} ms"
        ));
        held += idle.done;
        ratios.push(p50 / sql_p50);
        sql.push(sql_p50);
        echoes.push(echo);
        calls.push(p50);
        all.merge(&idle);
    }
    site.check_books(Taken { held, sold: 0 })?;
    report.figure("p50 of a hold ÷ p50 of baseline N at 1 client", "", &ratios, Target::AtMost(3.0));
    report.told("p50 of a hold", "ms", &calls);
    report.told("p50 of baseline N at 1 client", "ms", &sql);
    report.told("p50 of baseline E", "ms", &echoes);
    report.latencies.push(all.latency("idle: one hold at a time"));
    Ok(())
}
