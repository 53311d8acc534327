//! gRPC-Web: gRPC for browsers, over HTTP/1.1, by tonic-web. Its answers are read whole, and sent as those of JSON are: who reads
//! slowly keeps no place of a call meanwhile.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    body::{Bytes, HttpBody},
    extract::Request,
    response::Response,
};
use http::{HeaderMap, Method, header};
use http_body::Frame;
use http_body_util::BodyExt as _;
use server::Calls;
use tonic::{Status, body::Body};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, Service, ServiceExt as _};

use crate::{error::Refused, unsent::Answers};

/// The types that it has.
const TYPES: [&str; 4] = [
    "application/grpc-web",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/grpc-web-text+proto",
];

/// Calls in gRPC-Web.
#[derive(Debug)]
pub(crate) struct Web(GrpcWebService<Public>);

impl Web {
    /// For these services.
    pub(crate) fn new(services: Vec<&'static str>, calls: Calls, answers: Answers) -> Self {
        Self(GrpcWebLayer::new().layer(Public { services: services.into(), calls, answers }))
    }

    /// Whether a request says that it is one.
    pub(crate) fn is_meant(request: &Request) -> bool {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        kind.is_some_and(|kind| TYPES.contains(&kind))
    }

    /// Answers it, also where it fails, in gRPC-Web.
    pub(crate) async fn call(&self, request: Request) -> Result<Response, Refused> {
        if request.method() != Method::POST {
            return Err(Refused::method(&[Method::POST]));
        }
        let Ok(response) = self.0.clone().oneshot(request.map(Body::new)).await;
        Ok(response.map(axum::body::Body::new))
    }
}

/// The calls that are public: of the others nothing is there.
#[derive(Clone, Debug)]
struct Public {
    services: Arc<[&'static str]>,
    calls: Calls,
    answers: Answers,
}

impl Service<http::Request<Body>> for Public {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        let is_public = self.services.contains(&service);
        let (calls, answers) = (self.calls.clone(), self.answers.clone());
        Box::pin(async move {
            if !is_public {
                return Ok(Status::unimplemented("there is no such service here").into_http());
            }
            Ok(whole(calls.call(request).await, &answers).await)
        })
    }
}

/// Reads a gRPC response to its end, and makes one of it that keeps no place of a call, if there is room for it.
async fn whole(response: Response, answers: &Answers) -> Response {
    let (parts, body) = response.into_parts();
    let body = match body.collect().await {
        Ok(body) => body,
        Err(error) => {
            tracing::error!(%error, "a response that cannot be read");
            return api::internal().into_http();
        }
    };
    let trailers = body.trailers().cloned();
    let Some(body) = answers.body(body.to_bytes().into()) else { return api::overloaded().into_http() };
    Response::from_parts(parts, axum::body::Body::new(Whole { body, trailers }))
}

/// The body of a gRPC response, and its trailers. It does not say how long it is: tonic-web would say the same of its own body, which
/// is longer.
struct Whole {
    body: axum::body::Body,
    trailers: Option<HeaderMap>,
}

impl HttpBody for Whole {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(None) => {
                Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            frame => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.trailers.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use http_body_util::Full;

    use super::*;
    use crate::unsent::SMALL;

    fn request(kind: &'static str, path: &str) -> Request {
        let request = Request::post(path).header(header::CONTENT_TYPE, kind);
        request.body(axum::body::Body::empty()).unwrap()
    }

    #[test]
    fn only_its_own_types_mean_grpc_web() {
        for kind in TYPES {
            assert!(Web::is_meant(&request(kind, "/")), "{kind}");
        }
        for kind in ["application/grpc-webX", "application/grpc-web+json", "application/grpc", ""] {
            assert!(!Web::is_meant(&request(kind, "/")), "{kind}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_and_what_does_not_serve_yet_is_told_in_grpc_web() {
        let web = Web::new(vec!["test.Test"], Calls::default(), Answers::default());
        for (path, code) in [("/test.Internal/Call", "12"), ("/test.Test/Call", "14")] {
            let response = web.call(request(TYPES[1], path)).await.unwrap();
            let headers = response.headers();
            assert_eq!(headers["content-type"], TYPES[1], "{path}");
            assert_eq!(headers["grpc-status"], code, "{path}");
        }
    }
    #[tokio::test]
    async fn an_answer_that_nobody_reads_keeps_no_place_of_a_call() {
        let answers = Answers::default();
        for length in [0, 5, 10 * SMALL] {
            let place = Arc::new(());
            let kept = Arc::clone(&place);
            let trailers = async move {
                drop(kept);
                let status = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
                Some(Ok(HeaderMap::from_iter([status])))
            };
            let body = Full::new(Bytes::from(vec![7; length])).with_trailers(trailers);
            let response = whole(Response::new(axum::body::Body::new(body)), &answers).await;
            assert_eq!(Arc::strong_count(&place), 1, "{length}");
            let body = response.into_body();
            assert_eq!(body.size_hint().exact(), None, "{length}");
            let read = body.collect().await.unwrap();
            assert_eq!(read.trailers().unwrap()["grpc-status"], "0", "{length}");
            assert_eq!(read.to_bytes(), vec![7; length]);
        }
    }
}
