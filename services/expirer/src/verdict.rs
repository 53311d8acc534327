//! What to do with a verdict. Pure.

use std::time::Duration;

use proto::{
    catalog::settle_hold::{Commit, Release, Verdict as Settlement},
    reservation::{HoldVerdict, hold_verdict::Verdict},
};
use time::OffsetDateTime;

/// The catalog lets no hold be reviewed later than this.
const LATEST_REVIEW: Duration = Duration::from_hours(48);

/// Who asked: what is not due waits in another place for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// A timer: it is parked again.
    Timer,
    /// The sweep: the catalog is told not to list it before.
    Sweep,
}

impl Path {
    /// The path as a label of metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Timer => "timer",
            Self::Sweep => "sweep",
        }
    }
}

/// What becomes of a hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Decision {
    /// Its units go back on sale; if that is because it ran out, its deadline.
    Release(Option<OffsetDateTime>),
    /// Its units are sold.
    Commit,
    /// Nothing yet.
    NotDue {
        /// How much time is left to it.
        left: Duration,
        /// Its deadline now.
        expires_at: OffsetDateTime,
    },
}

impl Decision {
    /// What reservation answered; `None` if that makes no sense.
    pub(crate) fn parse(verdict: &HoldVerdict) -> Option<Self> {
        let expires_at = verdict.expire_time.as_ref().and_then(api::time::from_timestamp);
        match verdict.verdict.as_ref()? {
            Verdict::Release(_) => Some(Self::Release(expires_at)),
            Verdict::Commit(_) => Some(Self::Commit),
            Verdict::NotDue(left) => {
                let left = api::time::from_duration(left)?.try_into().ok()?;
                Some(Self::NotDue { left, expires_at: expires_at? })
            }
        }
    }

    /// What the catalog is to be told; `None` if nothing.
    pub(crate) fn settlement(self, path: Path, grace: Duration) -> Option<Settlement> {
        match (self, path) {
            (Self::Release(_), _) => Some(Settlement::Release(Release {})),
            (Self::Commit, _) => Some(Settlement::Commit(Commit {})),
            (Self::NotDue { .. }, Path::Timer) => None,
            (Self::NotDue { left, .. }, Path::Sweep) => {
                let after = left.saturating_add(grace).min(LATEST_REVIEW);
                let after = time::Duration::try_from(after).expect("48 hours at most");
                Some(Settlement::ReviewAfter(api::time::to_duration(after)))
            }
        }
    }

    /// The decision as a label of metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Release(_) => "release",
            Self::Commit => "commit",
            Self::NotDue { .. } => "not_due",
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::reservation::hold_verdict;
    use time::macros::datetime;

    use super::*;

    const DEADLINE: OffsetDateTime = datetime!(2026-11-22 10:00:00 UTC);
    const GRACE: Duration = Duration::from_secs(1);

    fn not_due(left_ms: i64) -> HoldVerdict {
        HoldVerdict {
            verdict: Some(Verdict::NotDue(api::time::to_duration_ms(left_ms))),
            expire_time: Some(api::time::to_timestamp(DEADLINE)),
        }
    }

    #[test]
    fn a_release_goes_to_the_catalog_and_keeps_the_deadline_of_what_ran_out() {
        let mut verdict = HoldVerdict {
            verdict: Some(Verdict::Release(hold_verdict::Release {})),
            expire_time: Some(api::time::to_timestamp(DEADLINE)),
        };
        let ran_out = Decision::parse(&verdict).unwrap();
        assert_eq!(ran_out, Decision::Release(Some(DEADLINE)));
        assert_eq!(ran_out.settlement(Path::Timer, GRACE), Some(Settlement::Release(Release {})));
        verdict.expire_time = None;
        assert_eq!(Decision::parse(&verdict), Some(Decision::Release(None)));
    }

    #[test]
    fn a_commit_goes_to_the_catalog() {
        let verdict = Verdict::Commit(hold_verdict::Commit {});
        let decision = Decision::parse(&HoldVerdict { verdict: Some(verdict), expire_time: None }).unwrap();
        assert_eq!(decision.settlement(Path::Sweep, GRACE), Some(Settlement::Commit(Commit {})));
    }

    #[test]
    fn what_is_not_due_is_reviewed_later_if_the_sweep_asked_and_parked_if_a_timer_did() {
        let decision = Decision::parse(&not_due(2_500)).unwrap();
        let left = Duration::from_millis(2_500);
        assert_eq!(decision, Decision::NotDue { left, expires_at: DEADLINE });
        assert_eq!(decision.settlement(Path::Timer, GRACE), None);
        let later = Settlement::ReviewAfter(api::time::to_duration_ms(3_500));
        assert_eq!(decision.settlement(Path::Sweep, GRACE), Some(later));
    }

    #[test]
    fn no_review_is_put_off_for_longer_than_the_catalog_takes() {
        let decision = Decision::parse(&not_due(1_000_000_000)).unwrap();
        let latest = Settlement::ReviewAfter(api::time::to_duration_ms(48 * 3_600_000));
        assert_eq!(decision.settlement(Path::Sweep, GRACE), Some(latest));
    }

    #[test]
    fn an_answer_without_a_verdict_or_with_half_of_one_makes_no_sense() {
        let negative = not_due(-5);
        let timeless = HoldVerdict { expire_time: None, ..not_due(5) };
        for nonsense in [HoldVerdict::default(), negative, timeless] {
            assert_eq!(Decision::parse(&nonsense), None);
        }
    }
}
