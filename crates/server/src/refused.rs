//! What is refused over HTTP before an RPC answers: no metric of an RPC tells of most of it.

use std::sync::LazyLock;

use ::http::StatusCode;
use opentelemetry::{KeyValue, metrics::Counter};

/// Every status that there is for it.
const STATUSES: [u16; 11] = [400, 401, 403, 404, 405, 408, 413, 414, 415, 429, 431];

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::counter(
        "holdfast_http_refused",
        "Requests refused over HTTP before an RPC answered them, by HTTP status",
    )
});

/// Counts from 0, so that the first refusal shows as one.
pub(crate) fn show() {
    for status in STATUSES {
        REFUSED.add(0, &[label(status)]);
    }
}

/// Counts a refusal over HTTP with this status.
pub fn over_http(status: StatusCode) {
    tracing::debug!(status = status.as_u16(), "refused over HTTP");
    REFUSED.add(1, &[label(status.as_u16())]);
}

fn label(status: u16) -> KeyValue {
    KeyValue::new("status", status.to_string())
}
