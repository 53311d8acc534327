//! Calls that are refused for who makes them: their answer, their count, their mark in the trace, and a line in the log, of which a
//! flood makes few.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use auth::{Refusal, Role};
use opentelemetry::{KeyValue, metrics::Counter};
use tonic::{Code, Status};
use tracing::Span;

use crate::Address;

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The caller does not say who they are.
    NoCredentials,
    /// What the caller shows is not good, and why.
    BadCredentials(Refusal),
    /// There are no keys to check a token with.
    NoKeys,
    /// Keys are being looked for, and too many wait for them.
    KeysCrowded,
    /// A caller of this role may not call this.
    Role(Option<Role>),
}

/// Every reason.
const REASONS: [&str; 5] =
    ["NO_CREDENTIALS", "BAD_CREDENTIALS", "KEYS_UNAVAILABLE", "ROLE_NOT_ALLOWED", "CUSTOMER_MISMATCH"];

/// In which there is one line for each reason and cause.
const PERIOD: Duration = Duration::from_secs(1);

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::counter("holdfast_auth_refused", "Calls refused for who makes them, by reason")
});

static LINES: LazyLock<Mutex<Lines>> = LazyLock::new(Mutex::default);

/// The lines of the log so far, by reason and cause: there are few of these.
#[derive(Debug, Default)]
struct Lines(HashMap<(&'static str, &'static str), Line>);

/// When the last one was written, and how many were not since.
#[derive(Debug)]
struct Line {
    at: Instant,
    suppressed: u64,
}

impl Lines {
    /// Whether there is to be a line now; and if so, how many there were not since the one before.
    fn next(&mut self, reason: &'static str, cause: &'static str, now: Instant) -> Option<u64> {
        let Some(line) = self.0.get_mut(&(reason, cause)) else {
            self.0.insert((reason, cause), Line { at: now, suppressed: 0 });
            return Some(0);
        };
        if now.saturating_duration_since(line.at) < PERIOD {
            line.suppressed += 1;
            return None;
        }
        line.at = now;
        Some(std::mem::take(&mut line.suppressed))
    }
}

/// Counts from 0, so that the first refusal shows as one.
pub(crate) fn show() {
    for reason in REASONS {
        REFUSED.add(0, &[KeyValue::new("reason", reason)]);
    }
}

/// Counts a refusal, marks the span of its call, and logs it unless another for the same cause was in the same second. Says where
/// it comes from, and nothing of the credentials.
pub fn count_refusal(reason: &'static str, cause: &'static str, method: &str, address: Option<Address>) {
    REFUSED.add(1, &[KeyValue::new("reason", reason)]);
    Span::current().record("refused", reason);
    let next = LINES.lock().unwrap_or_else(PoisonError::into_inner).next(reason, cause, Instant::now());
    let network = address.map(Address::network);
    let network = network.as_ref().map(tracing::field::display);
    if let Some(suppressed) = next {
        tracing::info!(reason, cause, method, network, suppressed, "a call was refused");
    } else {
        tracing::debug!(reason, cause, method, network, "a call was refused");
    }
}

impl Refused {
    /// Whether whoever sent it is to blame: not for keys that are not here, nor for a token that was good.
    pub(crate) const fn is_their_doing(self) -> bool {
        !matches!(self, Self::NoKeys | Self::KeysCrowded | Self::BadCredentials(Refusal::Expired))
    }

    /// Counts it, and answers what the caller hears.
    pub(crate) fn status(self, method: &str, address: Option<Address>) -> Status {
        let count = |reason, cause| count_refusal(reason, cause, method, address);
        match self {
            Self::NoCredentials => {
                count("NO_CREDENTIALS", "nothing");
                let message = "this call needs a bearer token, or the client certificate of a service";
                api::refusal(Code::Unauthenticated, "NO_CREDENTIALS", message, [])
            }
            Self::BadCredentials(refusal) => {
                count("BAD_CREDENTIALS", refusal.as_str());
                let cause = [("cause", refusal.as_str().to_owned())];
                api::refusal(Code::Unauthenticated, "BAD_CREDENTIALS", refusal.to_string(), cause)
            }
            Self::NoKeys => {
                count("KEYS_UNAVAILABLE", Refusal::NoKeys.as_str());
                api::unavailable()
            }
            Self::KeysCrowded => {
                count("KEYS_UNAVAILABLE", Refusal::Crowded.as_str());
                api::overloaded()
            }
            Self::Role(role) => {
                let role = role.map_or("none", Role::as_str);
                count("ROLE_NOT_ALLOWED", role);
                let metadata = [("role", role.to_owned()), ("method", method.to_owned())];
                let message = "callers of this role may not call this";
                api::refusal(Code::PermissionDenied, "ROLE_NOT_ALLOWED", message, metadata)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_why_and_nothing_of_the_token() {
        for (refused, code, reason) in [
            (Refused::NoCredentials, Code::Unauthenticated, "NO_CREDENTIALS"),
            (Refused::BadCredentials(Refusal::Expired), Code::Unauthenticated, "BAD_CREDENTIALS"),
            (Refused::NoKeys, Code::Unavailable, "UNAVAILABLE"),
            (Refused::KeysCrowded, Code::ResourceExhausted, "OVERLOADED"),
            (Refused::Role(Some(Role::Customer)), Code::PermissionDenied, "ROLE_NOT_ALLOWED"),
        ] {
            let status = refused.status("a.B/C", None);
            assert_eq!((status.code(), &*api::reason_of(&status)), (code, reason));
        }
        let expired = Refused::BadCredentials(Refusal::Expired).status("a.B/C", None);
        assert_eq!(api::metadata_of(&expired)["cause"], "expired");
    }

    #[test]
    fn a_flood_of_one_kind_hides_no_other_and_says_how_many_it_was() {
        let (mut lines, start) = (Lines::default(), Instant::now());
        assert_eq!(lines.next("BAD_CREDENTIALS", "malformed", start), Some(0));
        for _ in 0..1_000 {
            assert_eq!(lines.next("BAD_CREDENTIALS", "malformed", start + PERIOD / 2), None);
        }
        assert_eq!(lines.next("BAD_CREDENTIALS", "signature", start + PERIOD / 2), Some(0));
        assert_eq!(lines.next("NO_CREDENTIALS", "nothing", start + PERIOD / 2), Some(0));
        assert_eq!(lines.next("BAD_CREDENTIALS", "malformed", start + PERIOD), Some(1_000));
        assert_eq!(lines.next("BAD_CREDENTIALS", "malformed", start + 3 * PERIOD), Some(0));
    }
}
