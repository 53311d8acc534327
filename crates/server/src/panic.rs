//! The end of a panic: one call fails, the process goes on.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;

use crate::guard::Response;

/// Answers INTERNAL with a fixed message if `handler` panics. What happened is logged by the panic hook (`telemetry`).
pub(crate) async fn caught(handler: impl Future<Output = Response>) -> Response {
    // Unwind safe: nothing of the handler is looked at after a panic but locks, which are poisoned, and connections,
    // which are closed or rolled back when they are dropped.
    AssertUnwindSafe(handler).catch_unwind().await.unwrap_or_else(|_| api::internal().into_http())
}

#[cfg(test)]
mod tests {
    use tonic::Status;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_internal_error_that_tells_nothing() {
        let response = caught(async { panic!("a secret") }).await;
        assert_eq!(response.headers()["grpc-status"], "13");
        let status = Status::from_header_map(response.headers()).unwrap();
        assert_eq!(status.message(), api::internal().message());
    }

    #[tokio::test]
    async fn an_answer_is_passed_on() {
        let response = caught(async { Status::not_found("none").into_http() }).await;
        assert_eq!(response.headers()["grpc-status"], "5");
    }
}
