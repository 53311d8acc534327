//! Reads a `Status`, and its details, back: for clients of the other service, and for tests.

use std::{collections::HashMap, time::Duration};

use tonic::{Code, Status};
use tonic_types::StatusExt;

/// The reason of `google.rpc.ErrorInfo`; empty when there is none.
#[must_use]
pub fn reason_of(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

/// The metadata of `google.rpc.ErrorInfo`; empty when there is none.
#[must_use]
pub fn metadata_of(status: &Status) -> HashMap<String, String> {
    status.get_details_error_info().map(|info| info.metadata).unwrap_or_default()
}

/// The paths of the bad fields of `google.rpc.BadRequest`, in their order.
#[must_use]
pub fn fields_of(status: &Status) -> Vec<String> {
    let violations =
        status.get_details_bad_request().map(|request| request.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

/// When to come back, from `google.rpc.RetryInfo`.
#[must_use]
pub fn retry_delay_of(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}

/// Whether an answer with this code says more about the service, or the way there, than about what it was asked: the same
/// call may succeed later. If not, something in it, or what it is about, is at fault.
#[must_use]
pub fn is_outage(code: Code) -> bool {
    match code {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::ResourceExhausted
        | Code::Aborted
        | Code::Cancelled
        // A roll-out or a network policy that is half done.
        | Code::Unimplemented
        | Code::PermissionDenied
        | Code::Unauthenticated => true,
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Internal
        | Code::DataLoss => false,
    }
}
