//! gRPC-Web: gRPC for browsers, over HTTP/1.1, by tonic-web.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{extract::Request, response::Response};
use http::{Method, header};
use server::Calls;
use tonic::{Status, body::Body};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, Service, ServiceExt as _};

use crate::error::Refused;

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
    pub(crate) fn new(services: Vec<&'static str>, calls: Calls) -> Self {
        Self(GrpcWebLayer::new().layer(Public { services: services.into(), calls }))
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
        let calls = self.calls.clone();
        Box::pin(async move {
            if !is_public {
                return Ok(Status::unimplemented("there is no such service here").into_http());
            }
            Ok(calls.call(request).await)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let web = Web::new(vec!["test.Test"], Calls::default());
        for (path, code) in [("/test.Internal/Call", "12"), ("/test.Test/Call", "14")] {
            let response = web.call(request(TYPES[1], path)).await.unwrap();
            let headers = response.headers();
            assert_eq!(headers["content-type"], TYPES[1], "{path}");
            assert_eq!(headers["grpc-status"], code, "{path}");
        }
    }
}
