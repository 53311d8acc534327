//! What is refused over HTTP before an RPC answers: no metric of an RPC tells of most of it.

use std::sync::LazyLock;

use http::StatusCode;
use opentelemetry::{KeyValue, metrics::Counter};

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::meter()
        .u64_counter("holdfast_http_refused")
        .with_description("Requests refused over HTTP before their RPC was reached, by status")
        .build()
});

/// Counts a refusal with this status.
pub(crate) fn refused(status: StatusCode) {
    tracing::debug!(status = status.as_u16(), "refused over HTTP");
    REFUSED.add(1, &[KeyValue::new("status", i64::from(status.as_u16()))]);
}
