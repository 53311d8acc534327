//! Searches every world, the large ones too, and prints what was found. `make model` runs it. With an argument: only the
//! worlds that have it in their names, and no wrong protocols.

use std::{env, num::NonZero, process::ExitCode, thread};

use model::{
    check::{self, Report},
    variant::Variant,
    worlds,
};

fn main() -> ExitCode {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    println!(
        "{:<60} {:>11} {:>11} {:>5} {:>8}  verdict",
        "the protocol, searched to the last state of", "generated", "states", "depth", "time"
    );
    let only = env::args().nth(1);
    let wanted = |name: &str| only.as_ref().is_none_or(|part| name.contains(part));
    let mut wrong = false;
    for bounds in worlds::SMALL.into_iter().chain(worlds::LARGE).filter(|bounds| wanted(bounds.name)) {
        let report = check::exhaust(bounds, threads);
        wrong |= !report.broken.is_empty() || !report.unseen.is_empty();
        row(bounds.name, &report);
    }
    if only.is_none() {
        wrong |= hunt();
    }
    if wrong { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Whether a wrong protocol went through.
fn hunt() -> bool {
    let mut wrong = false;
    println!("\n{:<60} {:>11}  breaks", "a protocol without one of its rules", "steps");
    for variant in Variant::WRONG {
        for (property, bounds) in variant.breaks() {
            let found = check::hunt(variant, property, *bounds);
            wrong |= found.is_none();
            let steps =
                found.map_or_else(|| "NOT FOUND".to_owned(), |found| found.broken[0].1.len().to_string());
            println!("{:<60} {steps:>11}  {property}", format!("{variant:?}"));
        }
    }
    wrong
}

fn row(name: &str, report: &Report) {
    let Report { generated, states, depth, took, broken, unseen } = report;
    let verdict = match (broken.is_empty(), unseen.is_empty()) {
        (true, true) => "holds".to_owned(),
        (true, false) => format!("never saw: {}", unseen.join("; ")),
        (false, _) => format!("BROKEN\n{}", report.traces()),
    };
    println!("{name:<60} {generated:>11} {states:>11} {depth:>5} {:>6.1} s  {verdict}", took.as_secs_f64());
}
