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
use url::Url;

use crate::TelemetryConfig;

/// The most links of a span: a batch has one for each of its requests, which are up to 1,000. The SDK drops those beyond.
const MAX_LINKS: u32 = 1_024;
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
    let provider = SdkTracerProvider::builder()
        .with_resource(resource)
        .with_sampler(sampler)
        .with_max_links_per_span(MAX_LINKS);
    Ok(Some(provider.with_batch_exporter(exporter).build()))
}

/// Whether the endpoint is one that spans can be sent to. It is not told: it may have a password in it.
pub(crate) fn check(config: &TelemetryConfig) -> anyhow::Result<()> {
    let Some(endpoint) = &config.otlp_endpoint else { return Ok(()) };
    let url = Url::parse(endpoint).context("read the OTLP endpoint, a URL")?;
    ensure!(
        url.scheme() != "https",
        "the OTLP endpoint is https: spans are sent without TLS, to a collector of the same machine or network, which may pass them on"
    );
    ensure!(
        url.scheme() == "http" && url.has_host(),
        "the OTLP endpoint is no URL of the kind http://HOST:PORT"
    );
    ensure!(
        url.username().is_empty() && url.password().is_none(),
        "the OTLP endpoint has a user or a password, which would not be sent"
    );
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LogFormat;

    fn checked(endpoint: &str) -> Result<(), String> {
        let config = TelemetryConfig {
            log: "info".to_owned(),
            log_directives_file: None,
            log_format: LogFormat::Json,
            otlp_endpoint: Some(endpoint.to_owned()),
            trace_ratio: 1.0,
        };
        check(&config).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn an_endpoint_that_spans_cannot_be_sent_to_is_refused_without_being_told() {
        for endpoint in ["http://127.0.0.1:4317", "http://collector.monitoring.svc:4317/"] {
            assert_eq!(checked(endpoint), Ok(()));
        }
        for (endpoint, why) in [
            ("geheim", "relative URL"),
            ("http://geheim:99999", "port"),
            ("https://geheim:4317", "https"),
            ("grpc://geheim:4317", "http://HOST:PORT"),
            ("http://me:geheim@collector:4317", "password"),
            ("http://geheim@collector:4317", "password"),
        ] {
            let said = checked(endpoint).expect_err("it is refused");
            assert!(said.contains(why) && !said.contains("geheim"), "{endpoint}: {said}");
        }
    }
}
