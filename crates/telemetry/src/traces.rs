//! The export of spans over OTLP, where it is asked for.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tracing::Subscriber;
use tracing_subscriber::{Layer, registry::LookupSpan};

use crate::TelemetryConfig;

/// How long one export may take.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

static EXPORTED: AtomicBool = AtomicBool::new(false);

/// Whether spans are exported: without it, what only traces need can be left out.
#[must_use]
pub fn exports_traces() -> bool {
    EXPORTED.load(Ordering::Relaxed)
}

/// Sends spans in batches; `None` if the configuration names no endpoint. The endpoint is first reached when there is
/// something to send, and may be away: spans are lost then, nothing else.
pub(crate) fn provider(
    resource: Resource,
    config: &TelemetryConfig,
) -> anyhow::Result<Option<SdkTracerProvider>> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
    let exporter =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build()?;
    let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.trace_ratio)));
    let provider = SdkTracerProvider::builder().with_resource(resource).with_sampler(sampler);
    Ok(Some(provider.with_batch_exporter(exporter).build()))
}

/// Whether the endpoint is a URL.
pub(crate) fn check(config: &TelemetryConfig) -> anyhow::Result<()> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(()) };
    let uri: http::Uri = endpoint.parse().with_context(|| format!("read the OTLP endpoint {endpoint:?}"))?;
    ensure!(uri.scheme().is_some() && uri.host().is_some(), "the OTLP endpoint {endpoint:?} is no URL");
    Ok(())
}

/// Hands the spans of `tracing` to `provider`.
pub(crate) fn layer<S>(provider: &SdkTracerProvider, service: &'static str) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
{
    EXPORTED.store(true, Ordering::Relaxed);
    tracing_opentelemetry::layer().with_tracer(provider.tracer(service))
}
