//! From the response of an RPC to that of HTTP.

use axum::response::Response;
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt as _;
use prost_reflect::DynamicMessage;
use tonic::{Code, Status};

use crate::{
    error::{self, Refused},
    frame, response,
    route::{Content, Route},
    unsent::Answers,
    write::Written,
};

/// Reads a gRPC response to its end, and writes it as JSON, if there is room for it.
pub(crate) async fn to(answers: &Answers, route: &Route, answer: Response) -> Result<Response, Refused> {
    match read(route, answer).await {
        Ok(message) => {
            let field = route.answer.as_ref().map(|field| message.get_field(field));
            let written = field.as_ref().and_then(|value| value.as_message()).unwrap_or(&message);
            let (status, text) = response::text(StatusCode::OK, &Written(written));
            let body = answers.body(text).ok_or_else(api::overloaded)?;
            Ok(response::of(status, body))
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
