//! The HTTP side: which request goes where.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts};
use server::Crowded;
use tonic::Code;

use crate::{
    body,
    call::{self, Rpcs},
    cors::{self, Cors},
    docs::Docs,
    error::Refused,
    hosts::Hosts,
    web::Web,
};

/// No browser is to take an answer for anything but what it says it is, nor to show one within another's page.
const SAFETY: [(HeaderName, HeaderValue); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
];

/// Everything that is answered over HTTP.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) rpcs: Arc<Rpcs>,
    pub(crate) web: Web,
    pub(crate) cors: Cors,
    pub(crate) hosts: Hosts,
    pub(crate) docs: Docs,
    /// The OpenAPI document.
    pub(crate) description: Bytes,
}

impl Edge {
    pub(crate) fn router(self) -> Router {
        Router::new().fallback(serve).with_state(Arc::new(self))
    }

    async fn answer(&self, request: Request) -> Result<Response, Refused> {
        if Web::is_meant(&request) {
            return self.web.call(request).await;
        }
        let path = request.uri().path();
        if path == "/openapi.json" {
            only_read(&request)?;
            return Ok(content("application/json", self.description.clone()));
        }
        if let Some((kind, file)) = self.docs.file(path) {
            only_read(&request)?;
            let mut response = content(kind, file);
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, self.docs.policy.clone());
            return Ok(response);
        }
        let (parts, body) = request.into_parts();
        call::call(&self.rpcs, self.find(&parts)?, parts, body).await
    }

    /// The number of a request's route.
    fn find(&self, parts: &Parts) -> Result<usize, Refused> {
        let path = parts.uri.path();
        let wanted = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let mut allowed = Vec::new();
        for (number, route) in self.rpcs.routes.iter().enumerate() {
            if route.template.matched(path).is_some() {
                if route.method == *wanted {
                    return Ok(number);
                }
                allowed.push(route.method.clone());
            }
        }
        if allowed.is_empty() {
            return Err(Refused::new(StatusCode::NOT_FOUND, Code::NotFound, "there is nothing at this path"));
        }
        Err(Refused::method(&allowed))
    }
}

async fn serve(State(edge): State<Arc<Edge>>, request: Request) -> Response {
    let may_stay = body::is_short(&request);
    let mut response = match edge.hosts.check(request.headers()) {
        Ok(()) => known(&edge, request).await,
        Err(refused) => refused.answer(),
    };
    response.headers_mut().extend(SAFETY);
    // What was not read of the body ends the connection: the client is to know, and not to send its next request over it.
    if response.status() == StatusCode::REQUEST_TIMEOUT || (response.status() != StatusCode::OK && !may_stay)
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Answers a request for a host that is known.
async fn known(edge: &Edge, request: Request) -> Response {
    let caller = edge.cors.caller(request.headers());
    if let Some(answer) = cors::preflight(&caller, &request) {
        return answer;
    }
    let admitted = match request.extensions().get::<Crowded>() {
        Some(Crowded) => Err(api::overloaded().into()),
        None => cors::admit(&caller, request.method()),
    };
    let answer = match admitted {
        Ok(()) => edge.answer(request).await,
        Err(refused) => Err(refused),
    };
    caller.allow(answer.unwrap_or_else(Refused::answer))
}

/// What is only there to be read.
fn only_read(request: &Request) -> Result<(), Refused> {
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if reads { Ok(()) } else { Err(Refused::method(&[Method::GET])) }
}

fn content(kind: &'static str, content: Bytes) -> Response {
    let mut response = Response::new(Body::from(content));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}
