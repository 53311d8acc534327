//! Web pages: which may call, and what browsers are told about it (CORS, <https://fetch.spec.whatwg.org>).
//!
//! A browser that is at a stranger's page must not be turned against services that trust their network: what such a page
//! sends to change anything is refused.

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};
use tonic::Code;

use crate::error::Refused;

/// What pages may read of a response beside what they may anyway.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin, retry-after");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE");
/// The headers that pages may send where the browser does not say which they want to.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, authorization, grpc-timeout, traceparent, x-grpc-web, x-user-agent",
);
/// How long a browser may remember, in seconds.
const MAX_AGE: HeaderValue = HeaderValue::from_static("600");

/// The pages that may call.
#[derive(Debug)]
pub(crate) struct Cors {
    origins: Vec<String>,
}

/// Where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// No page of another origin.
    Own,
    /// A page of an origin that may call.
    Friend(HeaderValue),
    /// A page of any other.
    Stranger,
}

impl Cors {
    /// Pages of these origins, beside those of this machine.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self { origins: origins.iter().map(|origin| origin.trim_end_matches('/').to_owned()).collect() }
    }

    /// Who sent these headers.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Caller {
        let Some(value) = headers.get(header::ORIGIN) else { return Caller::Own };
        let Ok(origin) = value.to_str() else { return Caller::Stranger };
        let uri = origin.parse::<Uri>().ok();
        let authority = uri.as_ref().and_then(Uri::authority).map(Authority::as_str);
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        if authority.is_some() && authority == host {
            Caller::Own
        } else if uri.as_ref().and_then(Uri::host).is_some_and(is_loopback)
            || self.origins.iter().any(|friend| friend == origin)
        {
            Caller::Friend(value.clone())
        } else {
            Caller::Stranger
        }
    }
}

fn is_loopback(host: &str) -> bool {
    ["localhost", "127.0.0.1", "[::1]"].contains(&host)
}

impl Caller {
    /// Tells the browser that the page may read the response.
    pub(crate) fn allow(self, mut response: Response) -> Response {
        if let Self::Friend(origin) = self {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
            headers.insert(header::VARY, HeaderValue::from_static("origin"));
        }
        response
    }
}

/// Refuses what a stranger's page sends to change something: the browser would send it, and only hide the answer.
pub(crate) fn admit(caller: &Caller, method: &Method) -> Result<(), Refused> {
    if *caller == Caller::Stranger && ![Method::GET, Method::HEAD].contains(method) {
        let message = "pages of this origin may not call: HOLDFAST_CORS_ORIGINS names those that may";
        return Err(Refused::new(StatusCode::FORBIDDEN, Code::PermissionDenied, message));
    }
    Ok(())
}

/// Answers a browser that asks whether a page may send a request.
pub(crate) fn preflight(caller: &Caller, request: &Request) -> Option<Response> {
    let asks = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if !asks || *caller == Caller::Stranger {
        return None;
    }
    let wanted = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let answers: [(HeaderName, HeaderValue); 3] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(HEADERS)),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
    ];
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().extend(answers);
    Some(caller.clone().allow(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(origin: Option<&'static str>) -> Caller {
        let cors = Cors::new(&["https://shop.example/".to_owned()]);
        let mut headers =
            HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("api.example:8082"))]);
        headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
        cors.caller(&headers)
    }

    #[test]
    fn pages_of_this_machine_and_of_named_origins_may_call() {
        assert_eq!(caller(None), Caller::Own);
        assert_eq!(caller(Some("http://api.example:8082")), Caller::Own);
        for origin in
            ["http://localhost:3000", "http://127.0.0.1:8081", "http://[::1]:1", "https://shop.example"]
        {
            assert_eq!(caller(Some(origin)), Caller::Friend(HeaderValue::from_static(origin)), "{origin}");
        }
    }

    #[test]
    fn pages_of_others_may_not() {
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "https://shop.example.evil",
            "",
            "x y",
        ] {
            assert_eq!(caller(Some(origin)), Caller::Stranger, "{origin}");
        }
        assert!(admit(&Caller::Stranger, &Method::POST).is_err());
        assert!(admit(&Caller::Stranger, &Method::GET).is_ok());
        assert!(admit(&Caller::Own, &Method::POST).is_ok());
    }
}
