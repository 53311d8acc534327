//! What a service counts, as its metrics say.

use stack::Service;

/// The sum of a metric over all its labels that have `label` (`kind="settle"`; empty: all of them). 0 when there is none yet.
#[must_use]
pub fn counted(service: &Service, metric: &str, label: &str) -> u64 {
    let metrics = service.get("/metrics").expect("it serves its metrics").body;
    let lines = metrics.lines().filter(|line| {
        line.strip_prefix(metric).is_some_and(|rest| rest.starts_with(['{', ' '])) && line.contains(label)
    });
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}
