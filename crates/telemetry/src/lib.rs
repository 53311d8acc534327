//! Logs, traces, metrics, and how trace context travels between processes.
//!
//! Owns the process-wide state of all three: [`init`] sets it up once, in `main`. Libraries only use `tracing`'s macros,
//! [`meter`] and [`propagation`], and work (silently) where [`init`] was never called, as in tests.

mod build;
mod chain;
mod config;
mod directives;
mod logs;
mod metrics;
mod openmetrics;
mod panics;
mod process;
pub mod propagation;
mod traces;

use anyhow::Context as _;
use opentelemetry::KeyValue;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub use build::Build;
pub use chain::{Chain, FEW, few};
pub use config::{LogFormat, TelemetryConfig};
pub use metrics::{
    Exposition, SECONDS, counter, duration_histogram, exposition, histogram, meter, metrics_text,
};
pub use traces::exports_traces;

use crate::directives::Directives;

/// Keeps telemetry going; spans that are not sent yet are sent when it is dropped.
///
/// Hold it in `main` to the end, inside the multi-thread runtime in which [`init`] was called.
#[derive(Debug)]
#[must_use = "dropping it ends telemetry"]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(tracer) = &self.tracer
            && let Err(error) = tracer.shutdown()
        {
            tracing::warn!(%error, "some spans were not sent");
        }
    }
}

/// Sets up logs, traces and metrics of this process, once, for what was built. Within the runtime that metrics are to tell of.
///
/// Logs go to standard output; metrics are served by [`exposition`]; spans are exported only if the configuration has
/// an endpoint. From here on a panic is one error line in the log.
///
/// # Errors
/// The log filter or the endpoint is malformed, or telemetry is set up already.
pub fn init(build: &Build, config: &TelemetryConfig) -> anyhow::Result<Telemetry> {
    let version = KeyValue::new("service.version", build.version);
    let resource = Resource::builder().with_service_name(build.program).with_attribute(version).build();
    let tracer = traces::provider(resource.clone(), config).context("set up the export of traces")?;
    let spans = tracer.as_ref().map(|provider| traces::layer(provider, build.program));
    tracing_subscriber::registry()
        .with(Directives::start(config)?)
        .with(logs::layer(config.log_format))
        .with(spans)
        .try_init()
        .context("set up logs")?;
    metrics::install(resource, build).context("set up metrics")?;
    propagation::install();
    panics::log();
    Ok(Telemetry { tracer })
}
