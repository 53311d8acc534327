//! The HTTP side: which request goes where.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    response::Response,
};
use http::{HeaderValue, Method, StatusCode, header, request::Parts};
use server::Calls;
use tonic::Code;

use crate::{
    answer,
    body::Bodies,
    cors::{self, Cors},
    docs::Docs,
    error::Refused,
    frame, request,
    route::Route,
    web::Web,
};

/// Everything that is answered over HTTP.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) routes: Vec<Route>,
    pub(crate) calls: Calls,
    pub(crate) web: Web,
    pub(crate) bodies: Bodies,
    pub(crate) cors: Cors,
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
            return Ok(self.web.call(request).await);
        }
        let path = request.uri().path();
        if path == "/openapi.json" {
            only_read(&request)?;
            return Ok(content("application/json", self.description.clone()));
        }
        if let Some((kind, content_of)) = self.docs.file(path) {
            only_read(&request)?;
            return Ok(content(kind, content_of));
        }
        let (parts, body) = request.into_parts();
        self.call(&parts, body).await
    }

    /// Calls the RPC that a request stands for.
    async fn call(&self, parts: &Parts, body: Body) -> Result<Response, Refused> {
        let (route, values) = self.find(parts)?;
        let given = self.bodies.read(parts, body).await?;
        let query = parts.uri.query().unwrap_or_default();
        let message = request::message(route, &values, query, given.json)?;
        let call = frame::request(&route.call, &message, &parts.headers);
        drop((message, given.room));
        Ok(answer::to(route, self.calls.call(call).await).await)
    }

    /// The route of a request, with the values of its path.
    fn find<'p>(&self, parts: &'p Parts) -> Result<(&Route, Vec<&'p str>), Refused> {
        let path = parts.uri.path();
        let wanted = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let mut allowed = Vec::new();
        for route in &self.routes {
            if let Some(values) = route.template.matched(path) {
                if route.method == *wanted {
                    return Ok((route, values));
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
    let caller = edge.cors.caller(request.headers());
    if let Some(answer) = cors::preflight(&caller, &request) {
        return answer;
    }
    let answer = match cors::admit(&caller, request.method()) {
        Ok(()) => edge.answer(request).await,
        Err(refused) => Err(refused),
    };
    caller.allow(answer.unwrap_or_else(Refused::into_response))
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
