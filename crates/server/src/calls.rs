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
use axum::response::Response;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tower::Service;

use crate::guard::Guard;

/// Calls from within the process. UNAVAILABLE until the process serves, and from its drain on. Clones share the stack.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    served: Arc<OnceLock<Guard>>,
    under_way: TaskTracker,
}

impl Calls {
    /// Opens them, once: to what the gRPC port serves.
    pub(crate) fn open(&self, served: Guard) {
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
        served.answer(request).await.map(axum::body::Body::new)
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
    use tokio::sync::watch;
    use tonic::{Code, codegen::BoxFuture, server::NamedService};

    use super::*;
    use crate::{Admission, Services};

    /// A service that answers when it is told to.
    #[derive(Clone)]
    struct Test(watch::Receiver<bool>);

    impl NamedService for Test {
        const NAME: &'static str = "test.Test";
    }

    impl Service<Request<Body>> for Test {
        type Response = ::http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<::http::Response<Body>, Infallible>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<Body>) -> Self::Future {
            let mut told = self.0.clone();
            Box::pin(async move {
                told.wait_for(|told| *told).await.unwrap();
                Ok(tonic::Status::ok("served").into_http())
            })
        }
    }

    /// Calls to a service that answers when this says so.
    fn opened() -> (Calls, watch::Sender<bool>) {
        let (calls, (tell, told)) = (Calls::default(), watch::channel(false));
        calls.open(Guard::new(Services::new().with(Test(told)), Admission::new(1, &[])));
        (calls, tell)
    }

    async fn status(calls: &Calls, path: &str) -> Code {
        let request = Request::post(path).body(Body::empty()).unwrap();
        let response = calls.call(request).await;
        Code::from_bytes(response.headers()["grpc-status"].as_bytes())
    }

    #[tokio::test]
    async fn calls_are_refused_before_the_process_serves_and_once_it_drains() {
        assert_eq!(status(&Calls::default(), "/test.Test/Call").await, Code::Unavailable);
        let (calls, tell) = opened();
        tell.send(true).unwrap();
        assert_eq!(status(&calls, "/test.Test/Call").await, Code::Ok);
        calls.close();
        assert_eq!(status(&calls, "/test.Test/Call").await, Code::Unavailable);
        calls.finished().await;
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_unimplemented() {
        let (calls, _tell) = opened();
        for path in ["/test.Other/Call", "/", "//", "/test.Test.Test/Call"] {
            assert_eq!(status(&calls, path).await, Code::Unimplemented, "{path}");
        }
    }

    #[tokio::test]
    async fn a_drain_waits_for_the_calls_under_way() {
        let (calls, tell) = opened();
        let under_way = tokio::spawn({
            let calls = calls.clone();
            async move { status(&calls, "/test.Test/Call").await }
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
        tell.send(true).unwrap();
        finished.await.unwrap();
        assert_eq!(under_way.await.unwrap(), Code::Ok);
    }
}
