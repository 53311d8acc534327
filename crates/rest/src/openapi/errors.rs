//! The errors that any call may be answered with, and the reasons that services give for them.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, ServiceDescriptor};
use serde_json::{Value as Json, json};
use tonic::Code;

use super::comments::Comments;
use crate::error;

/// Nobody hears it where nobody is asked who they are.
const UNAUTHORIZED: u16 = 401;

/// Every status but 200, and the name of what describes it.
const STATUSES: [(u16, &str); 14] = [
    (400, "BadRequest"),
    (UNAUTHORIZED, "Unauthorized"),
    (403, "Forbidden"),
    (404, "NotFound"),
    (405, "MethodNotAllowed"),
    (408, "RequestTimeout"),
    (409, "Conflict"),
    (413, "PayloadTooLarge"),
    (415, "UnsupportedMediaType"),
    (429, "TooManyRequests"),
    (499, "Cancelled"),
    (500, "InternalServerError"),
    (503, "ServiceUnavailable"),
    (504, "GatewayTimeout"),
];

/// The codes of gRPC whose names stand in the comments on reasons.
const CODES: [Code; 9] = [
    Code::InvalidArgument,
    Code::Unauthenticated,
    Code::PermissionDenied,
    Code::NotFound,
    Code::AlreadyExists,
    Code::FailedPrecondition,
    Code::Aborted,
    Code::ResourceExhausted,
    Code::Unavailable,
];

/// Those that there are, where callers show a bearer token or where nobody is asked.
pub(crate) fn statuses(bearer: bool) -> impl Iterator<Item = (u16, &'static str)> {
    STATUSES.into_iter().filter(move |(status, _)| bearer || *status != UNAUTHORIZED)
}

/// The descriptions of all errors of these services.
pub(crate) fn responses(services: &[ServiceDescriptor], bearer: bool, comments: &Comments) -> Json {
    let reasons = reasons(services, comments);
    let mut responses = json!({});
    for (status, name) in statuses(bearer) {
        let mut description = about(status).to_owned();
        if let Some(reasons) = reasons.get(&status) {
            description.push_str(" The reasons:");
            for reason in reasons {
                description.push_str("\n- ");
                description.push_str(reason);
            }
        }
        let example = example(status);
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        responses[name] = json!({
            "description": description,
            "content": { "application/json": { "schema": schema, "example": example } },
        });
        if matches!(status, 429 | 503) {
            let header =
                json!({ "description": "When to come back, in seconds.", "schema": { "type": "integer" } });
            responses[name]["headers"] = json!({ "Retry-After": header });
        }
        if status == UNAUTHORIZED {
            let header =
                json!({ "description": "How to say who is calling.", "schema": { "type": "string" } });
            responses[name]["headers"] = json!({ "WWW-Authenticate": header });
        }
        if status == 405 {
            let header = json!({ "description": "What the path is for.", "schema": { "type": "string" } });
            responses[name]["headers"] = json!({ "Allow": header });
        }
    }
    responses
}

fn about(status: u16) -> &'static str {
    match status {
        400 => "The request is malformed, or `details` name the fields that are bad.",
        UNAUTHORIZED => "Nobody knows who is calling.",
        403 => {
            "The caller may not do this, a web page of another origin may not call, or the service is not known by the name in the header Host."
        }
        404 => "There is no such thing, or nothing at this path.",
        405 => "The path is there, for other methods.",
        408 => "The body did not arrive in time.",
        409 => "Refused by the rules, as things are.",
        413 => "The body is too large.",
        415 => "The body is not `application/json`.",
        429 => "Too many requests are waiting: try again.",
        499 => "The call was given up.",
        500 => "A defect of the service. Its cause is in the server's log.",
        503 => "A part that the call needs is away: try again.",
        _ => "There was no answer in time. What was asked may have been done: repeat it.",
    }
}

fn example(status: u16) -> Json {
    let (name, message, details) = match status {
        400 => (
            Code::InvalidArgument,
            "customerId: is required: 1 to 128 characters",
            json!([{ "fieldViolations": [{ "field": "customerId", "description": "is required: 1 to 128 characters" }] }]),
        ),
        404 => (
            Code::NotFound,
            "there is no product b0000000-0000-4000-8000-000000000099",
            json!([{ "reason": "PRODUCT_NOT_FOUND", "domain": api::DOMAIN,
                "metadata": { "product_id": "b0000000-0000-4000-8000-000000000099" } }]),
        ),
        409 => (
            Code::FailedPrecondition,
            "seat 12A is taken",
            json!([{ "reason": "SEAT_TAKEN", "domain": api::DOMAIN,
                "metadata": { "seat_map_id": "f1190000-0000-4000-8000-000000000001", "label": "12A" } }]),
        ),
        429 => (
            Code::ResourceExhausted,
            "too many requests are waiting; try again",
            json!([{ "reason": "OVERLOADED", "domain": api::DOMAIN, "metadata": {} }, { "retryDelay": "0.100s" }]),
        ),
        503 => (
            Code::Unavailable,
            "a part that this call needs is away; try again",
            json!([{ "reason": "UNAVAILABLE", "domain": api::DOMAIN, "metadata": {} }, { "retryDelay": "1s" }]),
        ),
        UNAUTHORIZED => (
            Code::Unauthenticated,
            "the token has expired",
            json!([{ "reason": "BAD_CREDENTIALS", "domain": api::DOMAIN, "metadata": { "cause": "expired" } }]),
        ),
        405 => (Code::Unimplemented, "this path is for GET, POST", json!([])),
        403 => (Code::PermissionDenied, "pages of this origin may not call", json!([])),
        408 | 504 => (Code::DeadlineExceeded, "no answer was ready before the deadline", json!([])),
        413 | 415 => (Code::InvalidArgument, "the body must be application/json, in UTF-8", json!([])),
        499 => (Code::Cancelled, "cancelled", json!([])),
        _ => (Code::Internal, "internal error; its cause is in the server's log", json!([])),
    };
    json!({ "code": status, "status": api::code_name(name), "message": message, "details": details })
}

/// The reasons by status: those of the services' packages, and the catalog's, which others pass on.
fn reasons(services: &[ServiceDescriptor], comments: &Comments) -> BTreeMap<u16, Vec<String>> {
    let mut found: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    let Some(first) = services.first() else { return found };
    let package = first.package_name();
    for name in [package, "holdfast.catalog.v1"] {
        let Some(reasons) = first.parent_pool().get_enum_by_name(&format!("{name}.ErrorReason")) else {
            continue;
        };
        for (reason, text) in documented(&reasons, comments) {
            let code = CODES.into_iter().find(|code| text.contains(api::code_name(*code)));
            let Some(code) = code else { continue };
            let listed = found.entry(error::http_status(code).as_u16()).or_default();
            if !listed.iter().any(|line| line.starts_with(&format!("`{reason}`"))) {
                listed.push(format!("`{reason}`: {text}"));
            }
        }
    }
    found
}

/// The reasons as they are on the wire, with their comments.
fn documented(reasons: &EnumDescriptor, comments: &Comments) -> Vec<(String, String)> {
    let file = reasons.parent_file();
    let described = |value: prost_reflect::EnumValueDescriptor| {
        (api::reason_name(value.name()).to_owned(), comments.text(file.name(), value.path()))
    };
    reasons.values().map(described).collect()
}
