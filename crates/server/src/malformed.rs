//! Requests that cannot be read: no protobuf, no gRPC frame, compressed without saying how.
//!
//! tonic answers INTERNAL, which here means a defect of ours, for operators to look at. It is the caller's mistake.

use ::http::HeaderValue;
use axum::response::Response;

/// What our own INTERNAL always says (`api::internal`, `panic`): its cause is never sent.
const OURS: &str = "internal%20error";
const INTERNAL: &str = "13";
const INVALID_ARGUMENT: HeaderValue = HeaderValue::from_static("3");

/// Makes INVALID_ARGUMENT out of an INTERNAL that is tonic's. Its message, about the request alone, stays.
pub(crate) fn blame_caller(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let is = |name, value: &str| headers.get(name).is_some_and(|header| header == value);
    if is("grpc-status", INTERNAL) && !is("grpc-message", OURS) {
        headers.insert("grpc-status", INVALID_ARGUMENT);
    }
    response
}

#[cfg(test)]
mod tests {
    use tonic::{Code, Status};

    use super::*;

    fn code(status: Status) -> Code {
        Code::from_bytes(blame_caller(status.into_http()).headers()["grpc-status"].as_bytes())
    }

    #[test]
    fn what_tonic_cannot_read_is_the_callers_mistake() {
        assert_eq!(code(Status::internal("failed to decode Protobuf message")), Code::InvalidArgument);
        assert_eq!(code(Status::internal("Missing request message.")), Code::InvalidArgument);
    }

    #[test]
    fn our_own_mistakes_stay_ours() {
        assert_eq!(code(Status::internal("internal error")), Code::Internal);
        assert_eq!(code(Status::unavailable("away")), Code::Unavailable);
    }
}
