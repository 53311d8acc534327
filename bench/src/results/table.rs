//! The results for people: Markdown.

use std::fmt::Write as _;

use super::Results;
use crate::figure::{Figure, Report, Target, spell};

/// The whole page.
pub(super) fn markdown(results: &Results) -> String {
    let mut page = String::from("# What was measured\n\n");
    let machine = &results.machine;
    let _ = writeln!(
        page,
        "{} at {}, scale `{}`, in {:.0} minutes. {} cores of {}, {:.0} GB, Linux {}; PostgreSQL {}, RabbitMQ {}, rustc {}. \
         Load average before: {}. Durable: fsync, full_page_writes and synchronous_commit are on.\n",
        machine.commit,
        machine.date,
        results.scale,
        (results.took_s / 60.0).ceil(),
        machine.cores,
        machine.processor,
        machine.memory_gb,
        machine.kernel,
        machine.postgres,
        machine.rabbitmq,
        machine.rustc,
        machine.load
    );
    for failure in &results.failures {
        let _ = writeln!(page, "**Wrong in `{}`: {}**\n", failure.scenario, failure.error);
    }
    page.push_str(
        "| scenario | figure | median (least .. most of the rounds) | to reach | |\n|---|---|---|---|---|\n",
    );
    for report in &results.reports {
        for figure in report.figures.iter().filter(|figure| figure.target.is_some()) {
            row(&mut page, report, figure, results.judged);
        }
    }
    page.push_str("\n![figures](figures.svg)\n\n## In numbers\n\n| scenario | what | median (least .. most) |\n|---|---|---|\n");
    for report in &results.reports {
        for figure in report.figures.iter().filter(|figure| figure.target.is_none()) {
            let _ = writeln!(page, "| {} | {} | {} |", report.scenario, figure.name, figure.spelled());
        }
    }
    latencies(&mut page, &results.reports);
    for report in &results.reports {
        for note in &report.notes {
            let _ = writeln!(page, "- {}: {note}", report.scenario);
        }
    }
    page
}

fn row(page: &mut String, report: &Report, figure: &Figure, judged: bool) {
    let target = match figure.target {
        Some(Target::AtLeast(limit)) => format!("≥ {}", spell(limit, figure.unit)),
        Some(Target::AtMost(limit)) => format!("≤ {}", spell(limit, figure.unit)),
        None => String::new(),
    };
    let verdict = match figure.is_reached().filter(|_| judged) {
        Some(true) => "reached",
        Some(false) => "**not reached**",
        None => "",
    };
    let _ = writeln!(
        page,
        "| {} | {} | {} | {target} | {verdict} |",
        report.scenario,
        figure.name,
        figure.spelled()
    );
}

fn latencies(page: &mut String, reports: &[Report]) {
    page.push_str(
        "\n## Latency\n\n| | p50 | p90 | p99 | p99.9 | max | measured |\n|---|---|---|---|---|---|---|\n",
    );
    for latency in reports.iter().flat_map(|report| &report.latencies) {
        let at = |value| spell(value, "ms");
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {} | {} |",
            latency.name,
            at(latency.p50_ms),
            at(latency.p90_ms),
            at(latency.p99_ms),
            at(latency.p999_ms),
            at(latency.max_ms),
            latency.count
        );
    }
    page.push_str("\n![latency](latency.svg)\n\n");
}
