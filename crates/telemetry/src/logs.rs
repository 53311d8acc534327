//! Log lines: how they look.

use std::io::{self, IsTerminal as _};

use tracing::Subscriber;
use tracing_subscriber::{Layer, fmt, registry::LookupSpan};

use crate::LogFormat;

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
