//! Responses of JSON, whatever they say.

use axum::{body::Body, response::Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

/// A response of JSON, a short one.
pub(crate) fn json(status: StatusCode, content: &impl Serialize) -> Response {
    let (status, text) = text(status, content);
    of(status, Body::from(text))
}

/// Its status and its text: those of a defect, if it cannot be written.
pub(crate) fn text(status: StatusCode, content: &impl Serialize) -> (StatusCode, Vec<u8>) {
    serde_json::to_vec(content).map_or_else(
        |error| {
            tracing::error!(%error, "an answer that cannot be written");
            let text = br#"{"code":500,"status":"INTERNAL","message":"internal error; its cause is in the server's log","details":[]}"#;
            (StatusCode::INTERNAL_SERVER_ERROR, text.to_vec())
        },
        |text| (status, text),
    )
}

/// One with this body.
pub(crate) fn of(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
