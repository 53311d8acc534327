//! The end of a panic: one call fails, the process goes on.

use std::panic::AssertUnwindSafe;

use axum::response::Response;
use futures::FutureExt as _;
use tonic::Status;

/// Answers INTERNAL with a fixed message if `handler` panics. What happened is logged by the panic hook (`telemetry`).
pub(crate) async fn caught(handler: impl Future<Output = Response>) -> Response {
    // Unwind safe: nothing of the handler is looked at after a panic but locks, which are poisoned, and connections,
    // which are closed or rolled back when they are dropped.
    AssertUnwindSafe(handler)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| Status::internal("internal error").into_http())
}
