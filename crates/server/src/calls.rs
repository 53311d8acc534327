//! The gRPC stack of this process for callers within it: what comes over HTTP/1.1 is called through it.
//!
//! It is the very same that the gRPC port serves, with everything that a call passes there.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use ::http::Request;
use axum::{Router, response::Response};
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::{Service, ServiceExt as _};

/// Calls from within the process. UNAVAILABLE until the process serves, and from its drain on. Clones share the stack.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    served: Arc<OnceLock<Router>>,
    under_way: TaskTracker,
}

impl Calls {
    /// Opens them, once: to what the gRPC port serves.
    pub(crate) fn open(&self, served: Router) {
        let _ = self.served.set(served);
    }

    /// Lets no more in.
    pub(crate) fn close(&self) {
        self.under_way.close();
    }

    /// Waits for those that are under way, after [`Self::close`].
    pub(crate) async fn finished(&self) {
        self.under_way.wait().await;
    }

    /// Makes a gRPC call: a request as it comes over HTTP/2.
    pub async fn call(&self, request: Request<Body>) -> Response {
        let Some(served) = self.served.get() else { return api::unavailable().into_http() };
        // First the token: a drain that begins now waits for this call.
        let _under_way = self.under_way.token();
        if self.under_way.is_closed() {
            return api::unavailable().into_http();
        }
        let Ok(response) = served.clone().oneshot(request).await;
        response
    }
}

impl Service<Request<Body>> for Calls {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let calls = self.clone();
        Box::pin(async move { Ok(Self::call(&calls, request).await) })
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::post;
    use tokio::sync::oneshot;

    use super::*;

    const UNAVAILABLE: Option<&str> = Some("14");

    async fn status(calls: &Calls) -> Option<String> {
        let request = Request::post("/test.Test/Call").body(Body::empty()).unwrap();
        let response = calls.call(request).await;
        response.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned())
    }

    #[tokio::test]
    async fn calls_are_refused_before_the_process_serves_and_once_it_drains() {
        let calls = Calls::default();
        assert_eq!(status(&calls).await.as_deref(), UNAVAILABLE);
        calls.open(Router::new().route("/test.Test/Call", post(async || "served")));
        assert_eq!(status(&calls).await, None);
        calls.close();
        assert_eq!(status(&calls).await.as_deref(), UNAVAILABLE);
        calls.finished().await;
    }

    #[tokio::test]
    async fn a_drain_waits_for_the_calls_under_way() {
        let (calls, (answer, told)) = (Calls::default(), oneshot::channel::<()>());
        let told = Arc::new(tokio::sync::Mutex::new(Some(told)));
        calls.open(Router::new().route(
            "/test.Test/Call",
            post(async move || {
                told.lock().await.take().unwrap().await.unwrap();
                "served"
            }),
        ));
        let under_way = tokio::spawn({
            let calls = calls.clone();
            async move { status(&calls).await }
        });
        while calls.under_way.is_empty() {
            tokio::task::yield_now().await;
        }
        calls.close();
        let finished = tokio::spawn({
            let calls = calls.clone();
            async move { calls.finished().await }
        });
        tokio::task::yield_now().await;
        assert!(!finished.is_finished());
        answer.send(()).unwrap();
        finished.await.unwrap();
        assert_eq!(under_way.await.unwrap(), None);
    }
}
