//! Bodies of requests: JSON, and not too much of it. `server` awaits them.

use axum::body::{Body, Bytes};
use http::{HeaderMap, Request, StatusCode, header};
use server::Late;
use tonic::Code;

use crate::{error::Refused, json::Json};

/// The longest body that is taken to come with the head of its request, in bytes.
const SHORT: usize = 8 << 10;

/// Whether a request says that its body is longer than this.
pub(crate) fn is_too_large(headers: &HeaderMap, limit: usize) -> bool {
    announced(headers).is_some_and(|length| length > limit)
}

/// What a body says; `None` when there is none.
pub(crate) fn json(headers: &HeaderMap, body: &Bytes) -> Result<Option<Json>, Refused> {
    if body.is_empty() {
        return Ok(None);
    }
    check_type(headers)?;
    let json = serde_json::from_slice(body);
    json.map(Some).map_err(|error| malformed(format!("the body is not JSON: {error}")))
}

impl From<Late> for Refused {
    fn from(late: Late) -> Self {
        match late {
            Late::Silent => Self::new(StatusCode::REQUEST_TIMEOUT, Code::DeadlineExceeded, late.to_string()),
            Late::TooLarge(limit) => {
                let message = format!("the body is larger than {limit} bytes");
                Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument, message)
            }
            Late::PutOut => api::overloaded().into(),
            Late::BrokeOff => malformed("the body broke off"),
        }
    }
}

/// Whether a request's body is so short that it has come with the head, or there is none.
pub(crate) fn is_short(request: &Request<Body>) -> bool {
    match announced(request.headers()) {
        Some(length) => length <= SHORT,
        None => http_body::Body::is_end_stream(request.body()),
    }
}

/// The length that the headers announce.
fn announced(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// JSON in UTF-8, which is the only one that there is (RFC 8259).
fn check_type(headers: &HeaderMap) -> Result<(), Refused> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut parts = kind.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
    };
    if is_json && parts.all(is_utf8) {
        return Ok(());
    }
    let message = "the body must be application/json, in UTF-8";
    Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::InvalidArgument, message))
}

fn malformed(message: impl Into<String>) -> Refused {
    Refused::new(StatusCode::BAD_REQUEST, Code::InvalidArgument, message)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(kind: &'static str, content: &'static str) -> Result<Option<Json>, u16> {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
        json(&headers, &Bytes::from_static(content.as_bytes())).map_err(|refused| refused.http().as_u16())
    }

    #[test]
    fn a_body_is_json_and_nothing_else() {
        assert_eq!(read("application/json", "{}"), Ok(Some(Json::Object(vec![]))));
        assert_eq!(read("Application/JSON; charset=\"UTF-8\"", "1"), Ok(Some(Json::Number(1.into()))));
        assert_eq!(read("application/json", "{"), Err(400));
        for kind in ["", "text/plain", "application/json; charset=latin1", "application/jsonp"] {
            assert_eq!(read(kind, "{}"), Err(415), "{kind}");
        }
        assert_eq!(read("text/plain", ""), Ok(None));
    }

    #[test]
    fn what_does_not_arrive_has_a_status_of_its_own() {
        for (late, status) in
            [(Late::Silent, 408), (Late::TooLarge(7), 413), (Late::PutOut, 429), (Late::BrokeOff, 400)]
        {
            assert_eq!(Refused::from(late).http().as_u16(), status, "{late}");
        }
    }

    #[test]
    fn a_body_is_too_large_by_what_it_announces() {
        let headers = |length: u16| HeaderMap::from_iter([(header::CONTENT_LENGTH, length.into())]);
        assert!(is_too_large(&headers(17), 16) && !is_too_large(&headers(16), 16));
        assert!(!is_too_large(&HeaderMap::new(), 16));
    }
}
