//! What a failed call means: come back later, or something is wrong. Pure.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use batch::SubmitError;
use tonic::Status;

/// The delay before the second try; it doubles up to [`MAX_DELAY`], with as much again by chance.
const MIN_DELAY: Duration = Duration::from_millis(20);
const MAX_DELAY: Duration = Duration::from_secs(1);

/// Why holds were not settled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// Somebody is away or cannot keep up: the same question may succeed later.
    #[error("{0}")]
    Outage(String),
    /// Somebody refused, or answered nonsense: the same question will hardly do better.
    #[error("{0}")]
    Defect(String),
}

impl Failure {
    /// What `status`, of a call to `service`, means.
    pub(crate) fn of(service: &'static str, status: &Status) -> Self {
        let text = format!("{service}: {:?}: {}", status.code(), status.message());
        if api::is_outage(status.code()) { Self::Outage(text) } else { Self::Defect(text) }
    }

    /// An answer that makes no sense.
    pub(crate) fn nonsense(service: &'static str, what: &str) -> Self {
        Self::Defect(format!("{service}: {what}"))
    }
}

impl From<failpoint::Fault> for Failure {
    fn from(fault: failpoint::Fault) -> Self {
        Self::Outage(fault.to_string())
    }
}

impl From<SubmitError> for Failure {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::QueueFull => Self::Outage(error.to_string()),
            SubmitError::Abandoned => Self::Defect(error.to_string()),
        }
    }
}

/// How long to wait before each further try. It never ends.
pub(crate) fn delays() -> impl Iterator<Item = Duration> + Send {
    let exponential = ExponentialBuilder::new()
        .with_min_delay(MIN_DELAY)
        .with_max_delay(MAX_DELAY)
        .without_max_times()
        .with_jitter()
        .build();
    exponential.chain(std::iter::repeat(MAX_DELAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_or_overwhelmed_or_not_there_yet_may_come_back() {
        for status in [
            Status::unavailable(""),
            Status::deadline_exceeded(""),
            Status::resource_exhausted(""),
            Status::aborted(""),
            Status::cancelled(""),
            Status::unimplemented(""),
            Status::permission_denied(""),
            Status::unauthenticated(""),
        ] {
            assert!(matches!(Failure::of("catalog", &status), Failure::Outage(_)), "{status:?}");
        }
    }

    #[test]
    fn who_refuses_will_refuse_again() {
        for status in [
            Status::invalid_argument(""),
            Status::internal(""),
            Status::failed_precondition(""),
            Status::unknown(""),
        ] {
            assert!(matches!(Failure::of("catalog", &status), Failure::Defect(_)), "{status:?}");
        }
    }

    #[test]
    fn delays_grow_to_their_limit_and_never_end() {
        let delays: Vec<_> = delays().take(100).collect();
        assert!(delays[0] < delays[3]);
        assert!(delays.iter().all(|delay| *delay <= MAX_DELAY * 2));
        assert!(delays[99] >= MAX_DELAY);
    }
}
