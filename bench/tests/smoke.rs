//! The bench itself, at tiny size: everything runs, no call fails, the books balance. Nothing is said about time.

use std::path::PathBuf;
use std::process::Command;
use std::thread;

use bench::figure::Report;
use bench::goods::{OPEN, products};
use bench::history;
use bench::results::Results;
use bench::run::measure;
use bench::scale::Scale;
use bench::scenario::{self, Scenario};
use bench::site::Site;
use stack::Options;

/// How many scenarios run at a time: mostly they wait for servers to start.
const AT_A_TIME: usize = 4;

/// Bounds for 1,000 holds, 64 in flight: some four times what is usual at full size (133, 76, 63 and 1,211), because tiny is less regular. One transaction for each hold
/// would be far beyond all but the last.
const BOUNDS: [(&str, f64); 4] = [
    (scenario::STATEMENTS, 600.0),
    (scenario::COMMITS, 300.0),
    (scenario::MESSAGES, 250.0),
    (scenario::LOG_BYTES, 4_000.0),
];

#[test]
fn every_scenario_runs_and_its_books_balance() {
    let results = all_at_tiny_size();
    let failures: Vec<_> = results.iter().flat_map(|results| &results.failures).collect();
    assert!(failures.is_empty(), "{failures:#?}");
    let reports: Vec<&Report> = results.iter().flat_map(|results| &results.reports).collect();
    assert_eq!(reports.len(), scenario::ALL.len());
    for report in &reports {
        assert!(!report.figures.is_empty(), "{} has no figures", report.scenario);
        let unknown = report.figures.iter().find(|figure| !figure.value.is_finite());
        assert!(unknown.is_none(), "{}: {unknown:?}", report.scenario);
    }
    for results in &results {
        can_be_written(results);
    }
    let counts = reports.iter().find(|report| report.scenario == "counts").expect("it was run");
    for (name, bound) in BOUNDS {
        let figure = counts.figures.iter().find(|figure| figure.name == name).expect("it was counted");
        assert!(figure.value > 0.0 && figure.value <= bound, "{name}: {}, at most {bound}", figure.value);
    }
}

#[test]
fn a_past_that_was_written_is_what_the_services_would_have_written() {
    let site = Site::start(Options::default()).expect("a stack starts");
    let goods = products(&site, 3, OPEN).expect("products can be made");
    let sold = history::write(&site, 500, &goods).expect("the past can be written");
    assert_eq!(sold, 300);
    let program = stack::binary("audit").expect("the audit was built");
    let audit = Command::new(program)
        .args(["--catalog-url", &site.catalogs[0], "--reservation-url", &site.reservations[0]])
        .output()
        .expect("the audit runs");
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stdout));
}

/// All scenarios, a few at a time.
fn all_at_tiny_size() -> Vec<Results> {
    let share = |index: usize| -> Vec<Scenario> {
        scenario::ALL.iter().skip(index).step_by(AT_A_TIME).copied().collect()
    };
    thread::scope(|scope| {
        let running: Vec<_> =
            (0..AT_A_TIME).map(|index| scope.spawn(move || measure(Scale::TINY, &share(index)))).collect();
        let results = running.into_iter().map(|thread| thread.join().expect("no scenario panics"));
        results.map(|results| results.expect("the bench runs")).collect()
    })
}

fn can_be_written(results: &Results) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("bench");
    results.write(&folder).expect("results can be written");
    let table = std::fs::read_to_string(folder.join("results.md")).expect("there is a table");
    for report in &results.reports {
        assert!(
            table.contains(&format!("| {} |", report.scenario)),
            "{} is missing:\n{table}",
            report.scenario
        );
    }
}
