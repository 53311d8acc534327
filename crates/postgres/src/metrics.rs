//! What the pool has, how long units of work take, and how often they get in each other's way.

use std::{sync::LazyLock, time::Duration};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use sqlx::PgPool;

static WORK: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    telemetry::duration_histogram(
        "holdfast_database_work_duration_seconds",
        "How long units of work took, with the wait for a connection and all tries",
    )
});

static CONFLICTS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::counter(
        "holdfast_database_conflicts",
        "Tries of units of work that lost against another and were made again",
    )
});

/// Shows how many connections there are, when the metrics are read.
pub(crate) fn watch(pool: &PgPool) {
    CONFLICTS.add(0, &[]);
    let limit = u64::from(pool.options().get_max_connections());
    let meter = telemetry::meter();
    let gauge = |name, description| meter.u64_observable_gauge(name).with_description(description);
    let pool = pool.clone();
    let [used, idle] = ["used", "idle"].map(|state| [KeyValue::new("state", state)]);
    gauge("holdfast_database_connections", "Connections of the pool, in use or idle")
        .with_callback(move |told| {
            let (all, unused) = (u64::from(pool.size()), pool.num_idle() as u64);
            told.observe(all.saturating_sub(unused), &used);
            told.observe(unused, &idle);
        })
        .build();
    gauge("holdfast_database_connections_limit", "Connections that the pool may have")
        .with_callback(move |told| told.observe(limit, &[]))
        .build();
}

/// A unit of work came to its end.
pub(crate) fn worked(is_done: bool, time: Duration) {
    let outcome = if is_done { "done" } else { "failed" };
    WORK.record(time.as_secs_f64(), &[KeyValue::new("outcome", outcome)]);
}

/// A try lost against another.
pub(crate) fn conflicted() {
    CONFLICTS.add(1, &[]);
}
