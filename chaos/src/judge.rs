//! Judges the figures of a run: what took too long, and whether enough happened for silence to mean anything. Pure.

use std::time::Duration;

use crate::checker::{Rule, Violation};
use crate::report::{Report, millis};

/// How late a hold may be back on sale that ran out in calm: the sweep's interval and grace (0.8 s), and a margin for a
/// machine that is busy with everything at once and for a storm that comes before the hold was settled (3 s at the earliest).
pub const LAG_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take until nothing is left to be done when clients have left: the longest hold (8 s), the sweep, and a
/// margin for a busy machine.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// What must not be, by the figures alone.
#[must_use]
pub fn judge(report: &Report) -> Vec<Violation> {
    late(report).chain(missing(report)).collect()
}

/// What took longer than it may.
fn late(report: &Report) -> impl Iterator<Item = Violation> {
    let lag = report.lag.calm.longest_ms;
    let lagged = (lag > millis(LAG_LIMIT)).then(|| {
        let text = format!(
            "a hold that ran out in calm was back on sale {lag} ms later; {} ms are the limit",
            millis(LAG_LIMIT)
        );
        Violation { rule: Rule::HoldsEndInTime, booking: None, text }
    });
    let settled = report.settled_ms;
    let settling = (settled > millis(SETTLE_LIMIT)).then(|| {
        let text =
            format!("it took {settled} ms until all was settled; {} ms are the limit", millis(SETTLE_LIMIT));
        Violation { rule: Rule::EverythingSettles, booking: None, text }
    });
    lagged.into_iter().chain(settling)
}

/// What did not happen, without which the rest proves nothing.
fn missing(report: &Report) -> impl Iterator<Item = Violation> {
    let wanted = [(report.lag.calm.holds > 0, "no hold ran out in calm")];
    wanted.into_iter().filter(|(there, _)| !there).map(|(_, text)| Violation {
        rule: Rule::EnoughHappened,
        booking: None,
        text: text.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::{Lag, Lags};

    /// A run of a minute that is sound.
    fn good() -> Report {
        let calm = Lag { holds: 20, longest_ms: 900, ..Lag::default() };
        Report { seconds: 60, settled_ms: 9_000, lag: Lags { calm, overall: calm }, ..Report::default() }
    }

    fn broken(report: &Report) -> Vec<Rule> {
        judge(report).into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn a_run_in_which_all_happened_in_time_is_sound() {
        assert_eq!(broken(&good()), []);
    }

    #[test]
    fn a_hold_that_came_back_late_in_calm_is_caught() {
        let mut report = good();
        report.lag.overall.longest_ms = 40_000;
        assert_eq!(broken(&report), []);
        report.lag.calm.longest_ms = 10_001;
        assert_eq!(broken(&report), [Rule::HoldsEndInTime]);
    }

    #[test]
    fn settling_that_takes_too_long_is_caught() {
        assert_eq!(broken(&Report { settled_ms: 30_001, ..good() }), [Rule::EverythingSettles]);
    }

    #[test]
    fn a_run_without_a_hold_that_ran_out_in_calm_proves_nothing() {
        let mut report = good();
        report.lag.calm.holds = 0;
        assert_eq!(broken(&report), [Rule::EnoughHappened]);
    }
}
