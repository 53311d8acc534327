//! Requests that cannot be read: no protobuf, no gRPC frame, compressed without saying how.
//!
//! tonic answers INTERNAL, which here means a defect of ours, for operators to look at. It is the caller's mistake.

use ::http::HeaderValue;
use tonic::{Code, Status};

use crate::guard::Response;

const INVALID_ARGUMENT: HeaderValue = HeaderValue::from_static("3");

/// Makes INVALID_ARGUMENT out of an INTERNAL that is tonic's: one that does not come from [`api::internal`]. Its message,
/// about the request alone, stays.
pub(crate) fn blame_caller(mut response: Response) -> Response {
    let status = response.extensions().get::<Status>(); // tonic leaves it with every error that has no message before it
    if status.is_some_and(|status| status.code() == Code::Internal && !api::is_internal(status)) {
        response.headers_mut().insert("grpc-status", INVALID_ARGUMENT);
    }
    response
}

#[cfg(test)]
mod tests {
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
        assert_eq!(code(api::internal()), Code::Internal);
        assert_eq!(code(Status::unavailable("away")), Code::Unavailable);
    }
}
