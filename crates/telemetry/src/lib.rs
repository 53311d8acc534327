//! Logs, traces, metrics, and how trace context travels between processes.
//!
//! Owns the process-wide state of all three: [`init`] sets it up once, in `main`. Libraries only use `tracing`'s macros,
//! [`meter`] and [`propagation`], and work (silently) where [`init`] was never called, as in tests.

mod config;
mod logs;
mod metrics;
mod panics;
pub mod propagation;
mod traces;

use anyhow::Context as _;
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

pub use config::{LogFormat, TelemetryConfig};
pub use metrics::{SECONDS, duration_histogram, meter, metrics_text};
pub use traces::exports_traces;

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

/// Sets up logs, traces and metrics of this process, once, for the service named `service`.
///
/// Logs go to standard output; metrics are served by [`metrics_text`]; spans are exported only if the configuration has
/// an endpoint. From here on a panic is one error line in the log.
///
/// # Errors
/// The log filter or the endpoint is malformed, or telemetry is set up already.
pub fn init(service: &'static str, config: &TelemetryConfig) -> anyhow::Result<Telemetry> {
    let resource = Resource::builder().with_service_name(service).build();
    let tracer = traces::provider(resource.clone(), config).context("set up the export of traces")?;
    let spans = tracer.as_ref().map(|provider| traces::layer(provider, service));
    tracing_subscriber::registry()
        .with(logs::filter(config)?)
        .with(logs::layer(config.log_format))
        .with(spans)
        .try_init()
        .context("set up logs")?;
    metrics::install(resource).context("set up metrics")?;
    propagation::install();
    panics::log();
    Ok(Telemetry { tracer })
}
