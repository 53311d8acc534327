//! Log lines: which are written, and how they look.

use std::io::{self, IsTerminal as _};

use anyhow::Context as _;
use tracing::Subscriber;
use tracing_subscriber::{EnvFilter, Layer, fmt, registry::LookupSpan};

use crate::{LogFormat, TelemetryConfig};

/// Which spans and events are taken up at all, by logs and traces alike.
pub(crate) fn filter(config: &TelemetryConfig) -> anyhow::Result<EnvFilter> {
    // The libraries of telemetry tell of themselves at `info`, and lapin tells of each lost connection in several lines, which
    // crates/amqp tells in one; sqlx's pool makes an error of each standby that crates/postgres refuses. A directive of the
    // operator's still overrules these.
    EnvFilter::try_new(format!("opentelemetry=warn,lapin=off,sqlx_core::pool::inner=off,{}", config.log))
        .with_context(|| format!("read the log directives {:?}", config.log))
}

/// Writes events to standard output.
pub(crate) fn layer<S>(format: LogFormat) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    match format {
        LogFormat::Pretty => fmt::layer().with_ansi(io::stdout().is_terminal()).boxed(),
        LogFormat::Json => fmt::layer().json().flatten_event(true).with_current_span(false).boxed(),
    }
}
