//! A run: scenario after scenario, then the results.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::disturbance::{beside, sync_micros};
use crate::echo::Echo;
use crate::figure::{Report, spell};
use crate::machine::Machine;
use crate::options::Options;
use crate::results::{Failure, Results};
use crate::scale::Scale;
use crate::scenario::{ALL, Bench, Scenario};

/// What a run may take: then no scenario is begun any more.
const LIMIT: Duration = Duration::from_mins(35);

/// Runs the scenarios that were asked for, and writes what came out. True if nothing was wrong, whatever was reached.
///
/// # Errors
/// Nothing could be measured, or written.
pub fn run(options: &Options) -> Result<bool> {
    let wanted = |scenario: &&Scenario| {
        options.scenarios.is_empty() || options.scenarios.iter().any(|name| name == scenario.name)
    };
    let scenarios: Vec<Scenario> = ALL.iter().filter(wanted).copied().collect();
    let results = measure(options.scale(), &scenarios)?;
    let folder = options.folder();
    results.write(&folder)?;
    println!("\n{}\nThis and the plots are in {}.", results.markdown(), folder.display());
    Ok(results.failures.is_empty())
}

/// Runs these scenarios.
///
/// # Errors
/// The echo server does not start, or nothing is known of the machine.
pub fn measure(scale: Scale, scenarios: &[Scenario]) -> Result<Results> {
    let (start, machine) = (Instant::now(), Machine::look()?);
    println!(
        "{} x {}, {} scale, load average {}",
        machine.cores, machine.processor, scale.name, machine.load
    );
    let bench = Bench { scale, echo: Echo::start()? };
    let (mut reports, mut failures) = (Vec::new(), Vec::new());
    for (number, scenario) in (1..).zip(scenarios) {
        println!("{number}/{} {}: {}", scenarios.len(), scenario.name, scenario.what);
        let begun = Instant::now();
        let mut report = Report { scenario: scenario.name.to_owned(), ..Report::default() };
        let ran = if start.elapsed() < LIMIT {
            undisturbed(&bench, *scenario, &mut report)
        } else {
            Err(anyhow!("not begun: the run has taken {} minutes already", LIMIT.as_secs() / 60))
        };
        report.took_s = begun.elapsed().as_secs_f64();
        print(&report);
        if let Err(error) = ran {
            println!("    WRONG: {error:#}");
            failures.push(Failure { scenario: scenario.name.to_owned(), error: format!("{error:#}") });
        }
        reports.push(report);
    }
    let took_s = start.elapsed().as_secs_f64();
    Ok(Results { machine, scale: scale.name, judged: scale.judged, took_s, reports, failures })
}

/// Runs a scenario, and tells what else the machine was busy with.
fn undisturbed(bench: &Bench, scenario: Scenario, report: &mut Report) -> Result<()> {
    let sync_micros = sync_micros()?;
    let (ran, others) = beside(|| (scenario.run)(bench, report))?;
    report.told("write and sync of 8 kB, before", "µs", &[sync_micros]);
    report.told("processors taken by anything else", "%", &[others]);
    ran
}

fn print(report: &Report) {
    for figure in &report.figures {
        let verdict = match figure.is_reached() {
            Some(true) => "reached",
            Some(false) => "not reached",
            None => "",
        };
        println!("    {:<48} {:>28}  {verdict}", figure.name, figure.spelled());
    }
    for latency in &report.latencies {
        let at = |value| spell(value, "ms");
        let (p50, p99, p999) = (at(latency.p50_ms), at(latency.p99_ms), at(latency.p999_ms));
        println!("    {:<48} p50 {p50}, p99 {p99}, p99.9 {p999}, max {}", latency.name, at(latency.max_ms));
    }
    for note in &report.notes {
        println!("    {note}");
    }
    println!("    took {:.0} s", report.took_s);
}
