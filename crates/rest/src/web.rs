//! gRPC-Web: gRPC for browsers, over HTTP/1.1, by tonic-web.

use axum::{extract::Request, response::Response};
use http::{HeaderValue, header};
use server::Calls;
use tonic::{Status, body::Body};
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer as _, ServiceExt as _};

/// Calls in gRPC-Web.
#[derive(Debug)]
pub(crate) struct Web {
    services: Vec<&'static str>,
    calls: GrpcWebService<Calls>,
}

impl Web {
    /// For these services.
    pub(crate) fn new(services: Vec<&'static str>, calls: Calls) -> Self {
        Self { services, calls: GrpcWebLayer::new().layer(calls) }
    }

    /// Whether a request says that it is one.
    pub(crate) fn is_meant(request: &Request) -> bool {
        let kind = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
        kind.is_some_and(|kind| kind.starts_with(b"application/grpc-web"))
    }

    /// Answers it. Of what is not public nothing is there.
    pub(crate) async fn call(&self, request: Request) -> Response {
        let service = request.uri().path().trim_start_matches('/').split('/').next().unwrap_or_default();
        if !self.services.contains(&service) {
            return Status::unimplemented("there is no such service here").into_http();
        }
        let Ok(response) = self.calls.clone().oneshot(request.map(Body::new)).await;
        response.map(axum::body::Body::new)
    }
}
