//! The errors that are not bad fields: refusals by the rules, overload, outages, our own faults.

use std::{collections::HashMap, error::Error, sync::Arc, time::Duration};

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// `google.rpc.ErrorInfo.domain` of every Holdfast error.
pub const DOMAIN: &str = "holdfast";

/// When to come back after OVERLOADED: queues drain in less.
const OVERLOAD_DELAY: Duration = Duration::from_millis(100);
/// When to come back after UNAVAILABLE: about what a restart of a part takes.
const OUTAGE_DELAY: Duration = Duration::from_secs(1);

/// A refusal by the rules: `code` with `google.rpc.ErrorInfo` of this reason (`INSUFFICIENT_STOCK`) and metadata.
#[must_use]
pub fn refusal<'a>(
    code: Code,
    reason: &str,
    message: impl Into<String>,
    metadata: impl IntoIterator<Item = (&'a str, String)>,
) -> Status {
    let metadata: HashMap<_, _> = metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    Status::with_error_details(code, message, ErrorDetails::with_error_info(reason, DOMAIN, metadata))
}

/// The reason on the wire of a proto `ErrorReason`, from its `as_str_name`: without the enum's prefix.
#[must_use]
pub fn reason_name(proto_name: &str) -> &str {
    proto_name.strip_prefix("ERROR_REASON_").unwrap_or(proto_name)
}

/// `RESOURCE_EXHAUSTED`, reason OVERLOADED, with `google.rpc.RetryInfo`: too many requests are waiting.
#[must_use]
pub fn overloaded() -> Status {
    passing(Code::ResourceExhausted, "OVERLOADED", "too many requests are waiting; try again", OVERLOAD_DELAY)
}

/// `RESOURCE_EXHAUSTED`, reason RATE_LIMITED, with `google.rpc.RetryInfo`: this caller calls too often, until so much later.
#[must_use]
pub fn rate_limited(delay: Duration) -> Status {
    passing(Code::ResourceExhausted, "RATE_LIMITED", "you call too often; try again later", delay)
}

/// `UNAVAILABLE`, reason UNAVAILABLE, with `google.rpc.RetryInfo`: a part that the call needs is away.
#[must_use]
pub fn unavailable() -> Status {
    passing(Code::Unavailable, "UNAVAILABLE", "a part that this call needs is away; try again", OUTAGE_DELAY)
}

/// The source of every status of [`internal`]: it tells them from those that tonic makes, and is never sent.
#[derive(Debug, thiserror::Error)]
#[error("a defect of ours")]
struct Defect;

/// `INTERNAL`, the same for every cause: what went wrong is in our log and nowhere else.
#[must_use]
pub fn internal() -> Status {
    let mut status = Status::internal("internal error; its cause is in the server's log");
    status.set_source(Arc::new(Defect));
    status
}

/// Whether this process made the status by [`internal`]. One that came over the network is not known again.
#[must_use]
pub fn is_internal(status: &Status) -> bool {
    status.source().is_some_and(<dyn Error>::is::<Defect>)
}

fn passing(code: Code, reason: &str, message: &str, delay: Duration) -> Status {
    let mut details = ErrorDetails::with_retry_info(Some(delay));
    details.set_error_info(reason, DOMAIN, HashMap::new());
    Status::with_error_details(code, message, details)
}

/// The name that gRPC gives a code.
#[must_use]
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{metadata_of, reason_of, retry_delay_of};

    #[test]
    fn a_refusal_carries_its_reason_and_metadata() {
        let status = refusal(Code::AlreadyExists, "SKU_TAKEN", "taken", [("sku", "A-1".to_owned())]);
        assert_eq!(status.code(), Code::AlreadyExists);
        assert_eq!(reason_of(&status), "SKU_TAKEN");
        assert_eq!(metadata_of(&status)["sku"], "A-1");
        assert_eq!(retry_delay_of(&status), None);
    }

    #[test]
    fn what_passes_says_when_to_come_back() {
        assert_eq!(reason_of(&overloaded()), "OVERLOADED");
        assert_eq!(retry_delay_of(&overloaded()), Some(OVERLOAD_DELAY));
        let delay = Duration::from_millis(1_500);
        assert_eq!(reason_of(&rate_limited(delay)), "RATE_LIMITED");
        assert_eq!(retry_delay_of(&rate_limited(delay)), Some(delay));
        assert_eq!(reason_of(&unavailable()), "UNAVAILABLE");
        assert_eq!(retry_delay_of(&unavailable()), Some(OUTAGE_DELAY));
    }

    #[test]
    fn our_own_defects_are_known_by_more_than_their_text() {
        assert!(is_internal(&internal().clone()));
        assert!(!is_internal(&Status::internal(internal().message())));
    }

    #[test]
    fn reasons_lose_their_prefix_on_the_wire() {
        let reason = proto::catalog::ErrorReason::InsufficientStock;
        assert_eq!(reason_name(reason.as_str_name()), "INSUFFICIENT_STOCK");
    }
}
