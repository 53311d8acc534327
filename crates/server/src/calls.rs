//! The gRPC stack of this process for callers within it: what comes over HTTP/1.1 is called through it.
//!
//! It is the very same that the gRPC port serves, with everything that a call passes there.

use std::{
    convert::Infallible,
    fmt::{self, Debug, Formatter},
    pin::Pin,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    task::{Context, Poll},
};

use ::http::Request;
use axum::{body::Bytes, response::Response};
use tokio_util::task::TaskTracker;
use tonic::{Status, body::Body};
use tower::Service;

use crate::{Late, guard::Guard};

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

    /// Makes a gRPC call whose message is still to be made: of the request's body, of so many bytes at most, once that has arrived
    /// and the call was let in. `decode` makes the message in its frame; it is told as well why there is none to be made.
    pub async fn upload<D>(&self, mut request: Request<Body>, limit: usize, decode: D) -> Response
    where
        D: FnOnce(Result<Bytes, Late>) -> Result<Bytes, Status> + Send + 'static,
    {
        let decode: Arc<Mutex<Option<Decode>>> = Arc::new(Mutex::new(Some(Box::new(decode))));
        request.extensions_mut().insert(Upload { limit, decode });
        self.call(request).await
    }

    /// Makes a gRPC call: a request as it comes over HTTP/2. A [`Caller`](crate::Caller) in its extensions is believed: that is how
    /// the process itself calls. Nothing that comes over a connection may be put there.
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

type Decode = Box<dyn FnOnce(Result<Bytes, Late>) -> Result<Bytes, Status> + Send>;

/// What a body is to become, in the extensions of a request.
#[derive(Clone)]
pub(crate) struct Upload {
    /// How long the body may be.
    pub(crate) limit: usize,
    decode: Arc<Mutex<Option<Decode>>>,
}

impl Upload {
    /// Makes the message.
    pub(crate) fn decode(&self, body: Result<Bytes, Late>) -> Result<Bytes, Status> {
        let decode = self.decode.lock().unwrap_or_else(PoisonError::into_inner).take();
        decode.map_or_else(|| Err(api::internal()), |decode| decode(body))
    }
}

impl Debug for Upload {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("limit", &self.limit).finish_non_exhaustive()
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
        calls.open(Guard::new(
            Services::new().with(Test(told)),
            Admission::new(1, &[]),
            crate::Access::open(),
        ));
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

    /// A request that does not come.
    fn silent() -> Body {
        Body::new(http_body_util::StreamBody::new(futures::stream::pending::<
            Result<http_body::Frame<Bytes>, Infallible>,
        >()))
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_slowly_takes_no_place_and_has_little_time() {
        let (calls, tell) = opened();
        tell.send(true).unwrap();
        let slow: Vec<_> = (0..10)
            .map(|_| {
                let calls = calls.clone();
                tokio::spawn(async move {
                    calls.call(Request::post("/test.Test/Call").body(silent()).unwrap()).await
                })
            })
            .collect();
        while calls.under_way.len() < slow.len() {
            tokio::task::yield_now().await;
        }
        assert_eq!(status(&calls, "/test.Test/Call").await, Code::Ok);
        for slow in slow {
            assert_eq!(slow.await.unwrap().headers()["grpc-status"], "4");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn customers_without_number_put_out_no_request_of_a_service_nor_for_health() {
        let (calls, (tell, told)) = (Calls::default(), watch::channel(true));
        let admission = Admission::new(1, &["test.Test"]);
        calls.open(Guard::new(Services::new().with(Test(told)), admission, crate::Access::open()));
        let start = |path: &'static str, body: Body| {
            let calls = calls.clone();
            tokio::spawn(async move { calls.call(Request::post(path).body(body).unwrap()).await })
        };
        let slow = || {
            let (sender, parts) = futures::channel::mpsc::unbounded::<Result<Bytes, Infallible>>();
            (sender, Body::new(axum::body::Body::from_stream(parts)))
        };
        // Health is not served here: it is UNIMPLEMENTED, once its request has come.
        let awaited =
            [("/test.Test/Call", "0"), ("/grpc.health.v1.Health/Check", "12")].map(|(path, code)| {
                let (sender, body) = slow();
                (sender, start(path, body), code)
            });
        let mut customers: Vec<_> = (0..1_025).map(|_| start("/test.Other/Call", silent())).collect();
        // As many as there is room for, and one: it is put out.
        assert_eq!(customers.swap_remove(0).await.unwrap().headers()["grpc-status"], "8");
        for (sender, awaited, code) in awaited {
            drop(sender);
            assert_eq!(awaited.await.unwrap().headers()["grpc-status"], code);
        }
        drop(tell);
    }

    #[tokio::test]
    async fn health_is_asked_for_in_few_bytes() {
        let (calls, _tell) = opened();
        let request = Request::post("/grpc.health.v1.Health/Check");
        let request = request.body(Body::new(http_body_util::Full::from(vec![0; 1_025]))).unwrap();
        let refused = Code::from_bytes(calls.call(request).await.headers()["grpc-status"].as_bytes());
        assert_eq!(refused, Code::OutOfRange);
    }

    #[tokio::test]
    async fn where_there_is_no_place_nothing_is_read() {
        let (calls, _tell) = opened();
        let _in_the_only_place = tokio::spawn({
            let calls = calls.clone();
            async move { status(&calls, "/test.Test/Call").await }
        });
        let refused = async || {
            let request = Request::post("/test.Test/Call").body(silent()).unwrap();
            let refused = tokio::time::timeout(std::time::Duration::from_millis(1), calls.call(request));
            refused.await.is_ok_and(|response| response.headers()["grpc-status"] == "8")
        };
        while !refused().await {}
    }

    #[tokio::test]
    async fn a_message_is_made_of_what_arrived_once_there_is_a_place() {
        let (calls, tell) = opened();
        tell.send(true).unwrap();
        let upload = async |body: Body, limit| {
            let (told, mut heard) = watch::channel(None);
            let request = Request::post("/test.Test/Call").body(body).unwrap();
            let decode = move |body| {
                told.send_replace(Some(body));
                Ok(Bytes::new())
            };
            calls.upload(request, limit, decode).await;
            heard.wait_for(Option::is_some).await.map(|heard| heard.clone().unwrap()).unwrap()
        };
        let body = || Body::new(http_body_util::Full::from("body"));
        assert_eq!(upload(body(), 4).await, Ok(Bytes::from("body")));
        assert_eq!(upload(body(), 3).await, Err(Late::TooLarge(3)));
    }
}
