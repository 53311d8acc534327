//! Calls that are refused for who makes them: their answer, their count, and a line in the log, of which a flood makes few.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use auth::{Refusal, Role};
use opentelemetry::{KeyValue, metrics::Counter};
use tonic::{Code, Status};

/// Why a call is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// The caller does not say who they are.
    NoCredentials,
    /// What the caller shows is not good, and why.
    BadCredentials(Refusal),
    /// There are no keys yet to check a token with.
    NoKeys,
    /// A caller of this role may not call this.
    Role(Option<Role>),
}

/// Every reason.
const REASONS: [&str; 5] =
    ["NO_CREDENTIALS", "BAD_CREDENTIALS", "KEYS_UNAVAILABLE", "ROLE_NOT_ALLOWED", "CUSTOMER_MISMATCH"];

static REFUSED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::counter("holdfast_auth_refused", "Calls refused for who makes them, by reason")
});

/// When this began, and the second since then in which the last line was written, counted from 1.
static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
static LAST_LINE: AtomicU64 = AtomicU64::new(0);

/// Counts from 0, so that the first refusal shows as one.
pub(crate) fn show() {
    for reason in REASONS {
        REFUSED.add(0, &[KeyValue::new("reason", reason)]);
    }
}

/// Counts a refusal, and logs it unless another was in the same second.
pub fn count_refusal(reason: &'static str, method: &str, why: &str) {
    REFUSED.add(1, &[KeyValue::new("reason", reason)]);
    let second = BEGUN.elapsed().as_secs() + 1;
    if LAST_LINE.swap(second, Ordering::Relaxed) == second {
        tracing::debug!(reason, method, why, "a call was refused");
    } else {
        tracing::info!(reason, method, why, "a call was refused; others in the same second are only counted");
    }
}

impl Refused {
    /// Counts it, and answers what the caller hears.
    pub(crate) fn status(self, method: &str) -> Status {
        match self {
            Self::NoCredentials => {
                count_refusal("NO_CREDENTIALS", method, "nothing was shown");
                let message = "this call needs a bearer token, or the client certificate of a service";
                api::refusal(Code::Unauthenticated, "NO_CREDENTIALS", message, [])
            }
            Self::BadCredentials(refusal) => {
                count_refusal("BAD_CREDENTIALS", method, refusal.as_str());
                let cause = [("cause", refusal.as_str().to_owned())];
                api::refusal(Code::Unauthenticated, "BAD_CREDENTIALS", refusal.to_string(), cause)
            }
            Self::NoKeys => {
                count_refusal("KEYS_UNAVAILABLE", method, Refusal::NoKeys.as_str());
                api::unavailable()
            }
            Self::Role(role) => {
                let role = role.map_or("none", Role::as_str);
                count_refusal("ROLE_NOT_ALLOWED", method, role);
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
            (Refused::Role(Some(Role::Customer)), Code::PermissionDenied, "ROLE_NOT_ALLOWED"),
        ] {
            let status = refused.status("a.B/C");
            assert_eq!((status.code(), &*api::reason_of(&status)), (code, reason));
        }
        let expired = Refused::BadCredentials(Refusal::Expired).status("a.B/C");
        assert_eq!(api::metadata_of(&expired)["cause"], "expired");
    }
}
