//! What a refusal must look like.

use std::{collections::HashMap, fmt::Debug};

use api::{fields_of, metadata_of, reason_of};
use tonic::{Code, Status};

/// The call was refused with this code and this `google.rpc.ErrorInfo` reason. Answers the reason's metadata.
#[track_caller]
pub fn assert_refused<T: Debug>(
    answer: Result<T, Status>,
    code: Code,
    reason: &str,
) -> HashMap<String, String> {
    let status = answer.expect_err("the call should have been refused");
    assert_eq!((status.code(), &*reason_of(&status)), (code, reason), "{status:?}");
    metadata_of(&status)
}

/// The call was refused because of this one field.
#[track_caller]
pub fn assert_bad_field<T: Debug>(answer: Result<T, Status>, field: &str) {
    let status = answer.expect_err("the call should have been refused");
    assert_eq!(status.code(), Code::InvalidArgument, "{field}: {status:?}");
    assert_eq!(fields_of(&status), [field], "{status:?}");
}

/// The call was refused because there is no way from the one state to the other.
#[track_caller]
pub fn assert_illegal<T: Debug>(answer: Result<T, Status>, from: &str, to: &str) {
    let metadata = assert_refused(answer, Code::FailedPrecondition, "ILLEGAL_TRANSITION");
    let named = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    assert_eq!((&*named("from"), &*named("to")), (from, to));
}
