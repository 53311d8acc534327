//! The deadline of a call: what the caller gave it, capped, and kept a little early.
//!
//! tonic has a timeout of its own, but answers CANCELLED. This one answers DEADLINE_EXCEEDED, early enough that the reply
//! still reaches the caller. A stream is only limited until its response begins.

use std::time::Duration;

use ::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// The header in which a gRPC caller says how long it waits.
pub(crate) const GRPC_TIMEOUT: &str = "grpc-timeout";
/// How long a call may take at most, whatever its caller would wait.
const CAP: Duration = Duration::from_secs(10);
/// How much earlier than the caller's deadline the answer is given, at most.
const EARLIER: Duration = Duration::from_millis(5);
/// The most digits that gRPC allows in its header.
const MAX_DIGITS: usize = 8;

tokio::task_local! {
    static DEADLINE: Instant;
}

/// How much time the gRPC call being handled has left; `None` outside a call.
///
/// Known in the task of the call only: not in tasks that it spawns, and not in batches that serve many calls.
#[must_use]
pub fn time_left() -> Option<Duration> {
    DEADLINE.try_with(|deadline| deadline.saturating_duration_since(Instant::now())).ok()
}

/// Answers with DEADLINE_EXCEEDED if `handler` has no answer within `limit`; the handler is dropped then.
pub(crate) async fn within(limit: Duration, handler: impl Future<Output = Response>) -> Response {
    let deadline = Instant::now() + limit;
    match timeout_at(deadline, DEADLINE.scope(deadline, handler)).await {
        Ok(response) => response,
        Err(_) => Status::deadline_exceeded("no answer was ready before the deadline").into_http(),
    }
}

/// How long a call with these headers may be handled. A header that cannot be read counts as none.
pub(crate) fn limit(headers: &HeaderMap) -> Duration {
    match headers.get(GRPC_TIMEOUT).and_then(parse) {
        Some(timeout) => CAP.min(timeout - EARLIER.min(timeout / 10)),
        None => CAP,
    }
}

/// Reads a `grpc-timeout`: up to 8 digits and a unit.
/// <https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>
pub(crate) fn parse(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    if digits.len() > MAX_DIGITS || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 3600)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

/// Writes a `grpc-timeout`, never longer than `timeout`.
pub(crate) fn format(timeout: Duration) -> HeaderValue {
    const LIMIT: u128 = 10_u128.pow(8);
    let text = [(timeout.as_micros(), 'u'), (timeout.as_millis(), 'm')]
        .into_iter()
        .find(|(amount, _)| *amount < LIMIT)
        .map_or_else(
            || format!("{}S", timeout.as_secs().min(99_999_999)),
            |(amount, unit)| format!("{amount}{unit}"),
        );
    HeaderValue::try_from(text).expect("digits and a letter are a header value")
}
