//! What a process tells of itself, whatever it is for: what was built, since when it runs, what it takes, how busy its runtime is.
//! Looked up when metrics are read, and at no other time.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use opentelemetry::{KeyValue, metrics::Meter};
use rustix::{
    param::page_size,
    time::{ClockId, clock_gettime},
};
use tokio::runtime::{Handle, RuntimeMetrics};

use crate::Build;

/// Makes the instruments; within the runtime that they tell of.
pub(crate) fn tell(meter: &Meter, build: &Build) {
    let labels = [
        KeyValue::new("service", build.program),
        KeyValue::new("version", build.version),
        KeyValue::new("commit", build.commit),
    ];
    let gauge = |name, description| meter.u64_observable_gauge(name).with_description(description);
    gauge("holdfast_build_info", "What was built: always 1")
        .with_callback(move |told| told.observe(1, &labels))
        .build();
    let start = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    meter
        .f64_observable_gauge("holdfast_process_start_timestamp_seconds")
        .with_description("When the process started (Unix time)")
        .with_callback(move |told| told.observe(start, &[]))
        .build();
    meter
        .f64_observable_counter("holdfast_process_cpu_seconds")
        .with_description("Processor time of the process, in user and system mode")
        .with_callback(|told| told.observe(cpu_seconds(), &[]))
        .build();
    gauge("holdfast_process_resident_memory_bytes", "Memory of the process that is in RAM")
        .with_callback(|told| resident_bytes().into_iter().for_each(|bytes| told.observe(bytes, &[])))
        .build();
    if let Ok(runtime) = Handle::try_current() {
        tell_of_runtime(meter, &runtime.metrics());
    }
}

fn tell_of_runtime(meter: &Meter, runtime: &RuntimeMetrics) {
    let gauge = |name, description, read: fn(&RuntimeMetrics) -> usize| {
        let runtime = runtime.clone();
        meter
            .u64_observable_gauge(name)
            .with_description(description)
            .with_callback(move |told| told.observe(read(&runtime) as u64, &[]))
            .build();
    };
    gauge("holdfast_runtime_workers", "Worker threads of tokio", RuntimeMetrics::num_workers);
    gauge("holdfast_runtime_tasks", "Tasks that are alive", RuntimeMetrics::num_alive_tasks);
    gauge(
        "holdfast_runtime_queue_depth",
        "Tasks that are ready and wait in the queue that all workers share",
        RuntimeMetrics::global_queue_depth,
    );
    let runtime = runtime.clone();
    meter
        .f64_observable_counter("holdfast_runtime_busy_seconds")
        .with_description("Time that all workers together were busy")
        .with_callback(move |told| {
            let busy = |worker| runtime.worker_total_busy_duration(worker).as_secs_f64();
            told.observe((0..runtime.num_workers()).map(busy).sum(), &[]);
        })
        .build();
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(clippy::cast_precision_loss, reason = "whole seconds of one process")]
    let seconds = time.tv_sec as f64;
    #[expect(clippy::cast_precision_loss, reason = "less than a second")]
    let rest = time.tv_nsec as f64 / 1e9;
    seconds + rest
}

/// As Linux tells it; nothing where there is no `/proc`.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_ascii_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_takes_time_and_memory() {
        assert!(cpu_seconds() > 0.0);
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
    }
}
