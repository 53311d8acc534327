//! The deadline of a call: what the caller gave it, capped, and kept a little early.
//!
//! tonic has a timeout of its own, but answers CANCELLED. This one answers `DEADLINE_EXCEEDED`, early enough that the reply
//! still reaches the caller. A stream is only limited until its response begins.

use std::time::Duration;

use ::http::{HeaderMap, HeaderValue};
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use crate::guard::Response;

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

/// Until when the caller of the gRPC call being handled waits; `None` outside a call. For what is handed to other tasks.
#[must_use]
pub fn caller_waits_until() -> Option<std::time::Instant> {
    DEADLINE.try_with(|deadline| deadline.into_std()).ok()
}

/// Answers with `DEADLINE_EXCEEDED` if `handler` has no answer within `limit`; the handler is dropped then.
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
        Some(timeout) => CAP.min(timeout.saturating_sub(EARLIER.min(timeout / 10))),
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

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    fn headers(timeout: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(GRPC_TIMEOUT.parse().unwrap(), HeaderValue::from_static(timeout))])
    }

    #[test]
    fn a_timeout_is_digits_and_a_unit() {
        let read = |text| parse(&HeaderValue::from_static(text));
        assert_eq!(read("2H"), Some(Duration::from_hours(2)));
        assert_eq!(read("3M"), Some(Duration::from_mins(3)));
        assert_eq!(read("15S"), Some(Duration::from_secs(15)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("99999999u"), Some(Duration::from_micros(99_999_999)));
        assert_eq!(read("0n"), Some(Duration::ZERO));
    }

    #[test]
    fn a_malformed_timeout_is_none() {
        for text in ["", "S", "5", "5s", "-5S", "+5S", "1.5S", "999999999u", "5 S", "\u{e9}S"] {
            assert_eq!(parse(&HeaderValue::from_str(text).unwrap()), None, "{text:?}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_never_longer() {
        for timeout in [Duration::ZERO, Duration::from_nanos(1500), Duration::from_millis(5), Duration::MAX] {
            let read = parse(&format(timeout)).unwrap();
            assert!(read <= timeout, "{timeout:?} became {read:?}");
        }
        assert_eq!(parse(&format(Duration::from_mins(5))), Some(Duration::from_mins(5)));
        assert_eq!(format(Duration::from_millis(1500)), "1500000u");
    }

    #[test]
    fn the_answer_comes_earlier_than_the_callers_deadline() {
        assert_eq!(limit(&headers("1S")), Duration::from_millis(995));
        assert_eq!(limit(&headers("10m")), Duration::from_millis(9));
        assert_eq!(limit(&headers("0n")), Duration::ZERO);
    }

    #[test]
    fn no_call_is_handled_for_longer_than_the_cap() {
        assert_eq!(limit(&HeaderMap::new()), CAP);
        assert_eq!(limit(&headers("nonsense")), CAP);
        assert_eq!(limit(&headers("1H")), CAP);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_that_takes_too_long_is_answered_for() {
        let start = Instant::now();
        let response = within(Duration::from_millis(95), pending()).await;
        assert_eq!(response.headers()["grpc-status"], "4");
        assert_eq!(start.elapsed().as_millis(), 95);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handler_can_tell_how_much_time_it_has_left() {
        assert_eq!((time_left(), caller_waits_until()), (None, None));
        let handler = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            assert_eq!(time_left(), Some(Duration::from_millis(70)));
            let until = caller_waits_until().map(Instant::from_std);
            assert_eq!(until, Some(Instant::now() + Duration::from_millis(70)));
            Response::default()
        };
        within(Duration::from_millis(100), handler).await;
    }
}
