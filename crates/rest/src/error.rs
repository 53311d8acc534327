//! Errors as JSON: `{code, status, message, details}`, whatever went wrong and wherever.

use std::collections::BTreeMap;

use api::Violations;
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::{response, text};

/// How a caller is to say who they are (RFC 6750, section 3).
const NO_TOKEN: HeaderValue = HeaderValue::from_static("Bearer realm=\"holdfast\"");
const BAD_TOKEN: HeaderValue = HeaderValue::from_static("Bearer realm=\"holdfast\", error=\"invalid_token\"");

/// An error over HTTP, on its way out.
#[derive(Debug)]
pub struct Refused {
    http: StatusCode,
    status: Box<Status>,
    allow: Option<HeaderValue>,
}

#[derive(Serialize)]
struct Error<'a> {
    code: u16,
    status: &'static str,
    message: &'a str,
    details: Vec<Detail>,
}

#[derive(Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Detail {
    Reason { reason: String, domain: String, metadata: BTreeMap<String, String> },
    Fields { field_violations: Vec<Field> },
    Retry { retry_delay: String },
}

#[derive(Serialize)]
struct Field {
    field: String,
    description: String,
}

impl Refused {
    /// An error that HTTP has a status of its own for.
    pub fn new(http: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self { http, status: Box::new(Status::new(code, message)), allow: None }
    }

    /// A path that is there, for other methods.
    #[must_use]
    pub fn method(allowed: &[Method]) -> Self {
        let allowed = allowed.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
        let message = format!("this path is for {allowed}");
        let allow = HeaderValue::try_from(allowed).ok();
        Self { allow, ..Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unimplemented, message) }
    }

    /// The same, as gRPC has it.
    pub(crate) fn status(&self) -> Status {
        Status::clone(&self.status)
    }

    /// The status of HTTP.
    #[cfg(test)]
    pub(crate) fn http(&self) -> StatusCode {
        self.http
    }

    /// The answer; counts it.
    #[must_use]
    pub fn answer(self) -> Response {
        server::count_refused_over_http(self.http);
        self.into_response()
    }

    /// The answer where an RPC refused it, which has been counted.
    #[must_use]
    pub fn into_response(self) -> Response {
        let mut response = respond(self.http, &self.status, str::to_owned);
        if let Some(allow) = self.allow {
            response.headers_mut().insert(header::ALLOW, allow);
        }
        response
    }
}

impl From<Status> for Refused {
    fn from(status: Status) -> Self {
        Self { http: http_status(status.code()), status: Box::new(status), allow: None }
    }
}

impl From<Violations> for Refused {
    fn from(bad: Violations) -> Self {
        Status::from(bad).into()
    }
}

/// What a service refused. Its fields are named as they are in JSON; those of the message that `body` names are at its top.
pub(crate) fn of_service(status: &Status, body: Option<&str>) -> Response {
    respond(http_status(status.code()), status, |field| place(field, body))
}

fn respond(http: StatusCode, status: &Status, name: impl Fn(&str) -> String) -> Response {
    let given = status.get_error_details();
    let mut message = status.message().to_owned();
    let mut details = Vec::new();
    if let Some(info) = given.error_info() {
        let metadata = info.metadata.clone().into_iter().collect();
        details.push(Detail::Reason { reason: info.reason.clone(), domain: info.domain.clone(), metadata });
    }
    if let Some(bad) = given.bad_request() {
        let violations = bad.field_violations.iter();
        // The message begins with the first of them.
        if let Some(first) = bad.field_violations.first()
            && let Some(rest) = message.strip_prefix(&first.field)
        {
            message = format!("{}{rest}", name(&first.field));
        }
        let fields =
            violations.map(|bad| Field { field: name(&bad.field), description: bad.description.clone() });
        details.push(Detail::Fields { field_violations: fields.collect() });
    }
    let delay = given.retry_info().and_then(|info| info.retry_delay);
    if let Some(delay) = delay {
        let seconds = i64::try_from(delay.as_secs()).unwrap_or(i64::MAX);
        let nanos = i32::try_from(delay.subsec_nanos()).unwrap_or_default();
        details.push(Detail::Retry { retry_delay: text::format_duration(seconds, nanos) });
    }
    let error =
        Error { code: http.as_u16(), status: api::code_name(status.code()), message: &message, details };
    let mut response = response::json(http, &error);
    if http == StatusCode::UNAUTHORIZED {
        let is_bad = given.error_info().is_some_and(|info| info.reason == "BAD_CREDENTIALS");
        let challenge = if is_bad { BAD_TOKEN } else { NO_TOKEN };
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(delay) = delay {
        // Whole seconds are all that it can say: never less than the delay.
        let seconds = delay.as_millis().div_ceil(1_000).max(1);
        let seconds = HeaderValue::try_from(seconds.to_string()).expect("digits are a header value");
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

/// The place of a field in the JSON of the request.
fn place(field: &str, body: Option<&str>) -> String {
    match body.and_then(|body| field.strip_prefix(body)) {
        Some("") => "body".to_owned(),
        Some(rest) if rest.starts_with('.') => text::camel(&rest[1..]),
        _ => text::camel(field),
    }
}

/// The status of HTTP for each code of gRPC. A refusal by the rules is a conflict with the state of things.
pub(crate) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::FailedPrecondition | Code::Aborted => StatusCode::CONFLICT,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
    }
}

#[cfg(test)]
mod tests {
    use api::Violation;
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};

    use super::*;

    async fn body(response: Response) -> Value {
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_refusal_carries_its_reason() {
        let metadata = [("product_id", "7".to_owned())];
        let status = api::refusal(Code::FailedPrecondition, "INSUFFICIENT_STOCK", "too few", metadata);
        let response = of_service(&status, None);
        assert_eq!(response.status(), StatusCode::CONFLICT);
        let details = json!([{ "reason": "INSUFFICIENT_STOCK", "domain": "holdfast", "metadata": { "product_id": "7" } }]);
        let wanted =
            json!({ "code": 409, "status": "FAILED_PRECONDITION", "message": "too few", "details": details });
        assert_eq!(body(response).await, wanted);
    }

    #[tokio::test]
    async fn bad_fields_are_named_by_their_place_in_the_json() {
        let mut bad = Violations::default();
        bad.add(Violation::new("product.hold_ttl", "must be short"));
        bad.add(Violation::new("product", "is required"));
        bad.add(Violation::new("update_mask", "must be there"));
        let error = body(of_service(&bad.into(), Some("product"))).await;
        assert_eq!(error["message"], "holdTtl: must be short (and 2 more)");
        let fields = &error["details"][0]["fieldViolations"];
        let named: Vec<_> = fields.as_array().unwrap().iter().map(|field| &field["field"]).collect();
        assert_eq!(named, ["holdTtl", "body", "updateMask"]);
    }

    #[tokio::test]
    async fn who_is_not_known_hears_how_to_say_who_they_are() {
        for (reason, wanted) in [("NO_CREDENTIALS", NO_TOKEN), ("BAD_CREDENTIALS", BAD_TOKEN)] {
            let status = api::refusal(Code::Unauthenticated, reason, "who?", []);
            let response = of_service(&status, None);
            assert_eq!((response.status().as_u16(), &response.headers()["www-authenticate"]), (401, &wanted));
            assert_eq!(body(response).await["details"][0]["reason"], reason);
        }
        let denied = of_service(&api::refusal(Code::PermissionDenied, "ROLE_NOT_ALLOWED", "no", []), None);
        assert_eq!((denied.status().as_u16(), denied.headers().get("www-authenticate")), (403, None));
    }

    #[tokio::test]
    async fn what_passes_says_when_to_come_back() {
        for (status, http, seconds) in [(api::overloaded(), 429, "1"), (api::unavailable(), 503, "1")] {
            let response = of_service(&status, None);
            assert_eq!(
                (response.status().as_u16(), &response.headers()["retry-after"]),
                (http, &HeaderValue::from_static(seconds))
            );
            assert_eq!(
                body(response).await["details"][1]["retryDelay"].as_str().map(|delay| delay.ends_with('s')),
                Some(true)
            );
        }
    }
}
