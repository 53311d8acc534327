//! Metrics: recorded through OpenTelemetry, read by Prometheus.

use std::sync::LazyLock;

use anyhow::Context as _;
use opentelemetry::{
    global,
    metrics::{Counter, Histogram, Meter},
};
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};
use prometheus::{Registry, TextEncoder};

use crate::{Build, openmetrics, process};

/// Upper bounds of the buckets of durations, in seconds: from 1 ms, fine where a call or an expiry usually falls.
pub const SECONDS: [f64; 16] =
    [0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// The content types of the formats.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::new);

/// Makes instruments from here on count, instead of being ignored.
pub(crate) fn install(resource: Resource, build: &Build) -> anyhow::Result<()> {
    let exporter = opentelemetry_prometheus::exporter()
        .with_registry(REGISTRY.clone())
        .scope_info_enabled(false)
        .build()
        .context("register the exporter")?;
    global::set_meter_provider(
        SdkMeterProvider::builder().with_reader(exporter).with_resource(resource).build(),
    );
    process::tell(&meter(), build);
    Ok(())
}

/// Makes instruments. What it makes before [`init`](crate::init) never counts, so make them when they are first used.
///
/// Names are those that Prometheus is to show (`holdfast_expiry_lag_seconds`): set no unit. Counters get `_total`.
#[must_use]
pub fn meter() -> Meter {
    global::meter("holdfast")
}

/// Makes a histogram of seconds with buckets from 1 ms to 10 s ([`SECONDS`]).
#[must_use]
pub fn duration_histogram(name: &'static str, description: &'static str) -> Histogram<f64> {
    histogram(name, description, SECONDS.to_vec())
}

/// Makes a histogram with these upper bounds of its buckets.
#[must_use]
pub fn histogram(name: &'static str, description: &'static str, bounds: Vec<f64>) -> Histogram<f64> {
    meter().f64_histogram(name).with_description(description).with_boundaries(bounds).build()
}

/// Metrics as they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposition {
    /// What `text` is.
    pub content_type: &'static str,
    /// The metrics.
    pub text: String,
}

/// All metrics of this process: in OpenMetrics if `accept`, the header of that name, asks for it, else in the text format of
/// Prometheus.
#[must_use]
pub fn exposition(accept: &str) -> Exposition {
    let text = metrics_text();
    if openmetrics::is_asked_for(accept) {
        return Exposition { content_type: OPENMETRICS, text: openmetrics::from_text(&text) };
    }
    Exposition { content_type: TEXT, text }
}

/// All metrics of this process in the text format of Prometheus.
#[must_use]
pub fn metrics_text() -> String {
    TextEncoder::new().encode_to_string(&REGISTRY.gather()).unwrap_or_else(|error| {
        tracing::error!(%error, "the metrics could not be encoded");
        String::new()
    })
}

/// Makes a counter of this name (less `_total`).
#[must_use]
pub fn counter(name: &'static str, description: &'static str) -> Counter<u64> {
    meter().u64_counter(name).with_description(description).build()
}
