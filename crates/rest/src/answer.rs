//! From the response of an RPC to that of HTTP.

use axum::{body::Body, response::Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt as _;
use prost_reflect::DynamicMessage;
use serde::Serialize;
use tonic::{Code, Status};

use crate::{
    edge::Edge,
    error::{self, Refused},
    frame,
    route::{Content, Route},
    write::Written,
};

/// Reads a gRPC response to its end, and writes it as JSON, if there is room for it.
pub(crate) async fn to(edge: &Edge, route: &Route, response: Response) -> Result<Response, Refused> {
    match read(route, response).await {
        Ok(message) => {
            let answer = route.answer.as_ref().map(|field| message.get_field(field));
            let answer = answer.as_ref().and_then(|value| value.as_message()).unwrap_or(&message);
            let (status, text) = text(StatusCode::OK, &Written(answer));
            let body = edge.answers.body(text).ok_or_else(api::overloaded)?;
            Ok(of(status, body))
        }
        Err(status) => {
            let body = match &route.body {
                Content::Field(field) => Some(field.name()),
                Content::Nothing | Content::Message => None,
            };
            Ok(error::of_service(&status, body))
        }
    }
}

async fn read(route: &Route, response: Response) -> Result<DynamicMessage, Status> {
    let (parts, body) = response.into_parts();
    succeeded(&parts.headers)?;
    let body = body.collect().await.map_err(|error| defect(&error))?;
    if let Some(trailers) = body.trailers() {
        succeeded(trailers)?;
    }
    let message = frame::message(&body.to_bytes()).ok_or_else(|| defect(&"no frame with one message"))?;
    DynamicMessage::decode(route.rpc.output(), message).map_err(|error| defect(&error))
}

/// The code of a response that is nothing but an error.
pub(crate) fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}

/// The error that these headers or trailers tell of, if they do.
fn succeeded(headers: &HeaderMap) -> Result<(), Status> {
    match Status::from_header_map(headers) {
        Some(status) if status.code() != Code::Ok => Err(status),
        _ => Ok(()),
    }
}

fn defect(error: &dyn std::fmt::Display) -> Status {
    tracing::error!(%error, "a response that cannot be read");
    api::internal()
}

/// A response of JSON, a short one.
pub(crate) fn json(status: StatusCode, content: &impl Serialize) -> Response {
    let (status, text) = text(status, content);
    of(status, Body::from(text))
}

fn text(status: StatusCode, content: &impl Serialize) -> (StatusCode, Vec<u8>) {
    serde_json::to_vec(content).map_or_else(
        |error| {
            tracing::error!(%error, "an answer that cannot be written");
            let text = br#"{"code":500,"status":"INTERNAL","message":"internal error; its cause is in the server's log","details":[]}"#;
            (StatusCode::INTERNAL_SERVER_ERROR, text.to_vec())
        },
        |text| (status, text),
    )
}

fn of(status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
