//! What is refused over HTTP before an RPC answers: no metric of an RPC tells of most of it.

use std::sync::LazyLock;

use http::StatusCode;
use opentelemetry::{KeyValue, metrics::Counter};

/// Every status that there is for it.
const STATUSES: [u16; 8] = [400, 403, 404, 405, 408, 413, 415, 429];

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::counter(
        "holdfast_http_refused",
        "Requests refused over HTTP before an RPC answered them, by HTTP status",
    )
});

/// Counts from 0, so that the first refusal shows as one.
pub(crate) fn start() {
    for status in STATUSES {
        REFUSED.add(0, &[label(status)]);
    }
}

/// Counts a refusal with this status.
pub(crate) fn refused(status: StatusCode) {
    tracing::debug!(status = status.as_u16(), "refused over HTTP");
    REFUSED.add(1, &[label(status.as_u16())]);
}

fn label(status: u16) -> KeyValue {
    KeyValue::new("status", status.to_string())
}
