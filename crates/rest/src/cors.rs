//! Web pages: which may call, and what browsers are told about it (CORS, <https://fetch.spec.whatwg.org>).
//!
//! A browser that is at a stranger's page must not be turned against services that trust their network: what such a page
//! sends to change anything is refused.

use axum::{body::Body, extract::Request, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header, uri::Authority};
use tonic::Code;

use crate::{error::Refused, hosts};

/// What pages may read of a response beside what they may anyway.
const EXPOSED: HeaderValue =
    HeaderValue::from_static("grpc-status, grpc-message, grpc-status-details-bin, retry-after");
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE");
/// What an answer depends on beside its URL.
const VARY: HeaderValue = HeaderValue::from_static("origin");
/// The headers that pages may send where the browser does not say which they want to.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "content-type, authorization, grpc-timeout, traceparent, x-grpc-web, x-request-id, x-user-agent",
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
    /// Pages of these origins, beside the service's own and, where that is this machine, those of this machine.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self {
            origins: origins.iter().map(|origin| origin.trim().trim_end_matches('/').to_owned()).collect(),
        }
    }

    /// Who sent these headers, which name a host that is known (`hosts`): else a stranger could seem to be of our own.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Caller {
        let Some(value) = headers.get(header::ORIGIN) else { return Caller::Own };
        let Ok(origin) = value.to_str() else { return Caller::Stranger };
        let uri = origin.parse::<Uri>().ok();
        let authority = uri.as_ref().and_then(Uri::authority).map(Authority::as_str);
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let of_this_machine =
            || authority.is_some_and(hosts::is_loopback) && host.is_some_and(hosts::is_loopback);
        if authority.is_some() && authority == host {
            Caller::Own
        } else if of_this_machine() || self.origins.iter().any(|friend| friend == origin) {
            Caller::Friend(value.clone())
        } else {
            Caller::Stranger
        }
    }
}

impl Caller {
    /// Tells the browser that the page may read the response; and caches, that others get another one.
    pub(crate) fn allow(self, mut response: Response) -> Response {
        response.headers_mut().append(header::VARY, VARY);
        if let Self::Friend(origin) = self {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
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
    let answers: [(HeaderName, HeaderValue); 4] = [
        (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.unwrap_or(HEADERS)),
        (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
        (header::VARY, HeaderValue::from_static("access-control-request-headers")),
    ];
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().extend(answers);
    Some(caller.clone().allow(response))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller_at(host: &'static str, origin: Option<&'static str>) -> Caller {
        let cors = Cors::new(&["https://shop.example/".to_owned()]);
        let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
        headers.extend(origin.map(|origin| (header::ORIGIN, HeaderValue::from_static(origin))));
        cors.caller(&headers)
    }

    fn caller(origin: &'static str) -> Caller {
        caller_at("api.example:8082", Some(origin))
    }

    #[test]
    fn pages_of_the_service_itself_and_of_named_origins_may_call() {
        assert_eq!(caller_at("api.example:8082", None), Caller::Own);
        assert_eq!(caller("http://api.example:8082"), Caller::Own);
        let shop = "https://shop.example";
        assert_eq!(caller(shop), Caller::Friend(HeaderValue::from_static(shop)));
    }

    #[test]
    fn pages_of_this_machine_may_call_what_runs_on_it() {
        for origin in ["http://localhost:3000", "http://127.0.0.1:8081", "http://[::1]:1"] {
            for host in ["localhost:8082", "127.0.0.1:8082", "[::1]:8082"] {
                let friend = Caller::Friend(HeaderValue::from_static(origin));
                assert_eq!(caller_at(host, Some(origin)), friend, "{origin} at {host}");
            }
            assert_eq!(caller(origin), Caller::Stranger, "{origin}: whoever's machine that is");
        }
    }

    #[test]
    fn pages_of_others_may_not() {
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example",
            "https://shop.example.evil",
            "http://shop.example",
            "http://api.example:8081",
            "",
            "x y",
        ] {
            assert_eq!(caller(origin), Caller::Stranger, "{origin}");
        }
        assert!(admit(&Caller::Stranger, &Method::POST).is_err());
        assert!(admit(&Caller::Stranger, &Method::GET).is_ok());
        assert!(admit(&Caller::Own, &Method::POST).is_ok());
    }

    #[test]
    fn caches_are_told_that_the_origin_matters() {
        for caller in [Caller::Own, caller("https://shop.example"), Caller::Stranger] {
            let response = caller.allow(Response::new(Body::empty()));
            assert_eq!(response.headers()["vary"], "origin");
        }
    }
}
