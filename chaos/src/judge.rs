//! Judges the figures of a run: what took too long, and whether enough happened for silence to mean anything. Pure.

use std::time::Duration;

use crate::checker::{Rule, Violation};
use crate::fault::Fault;
use crate::report::{Report, millis};

/// How late a hold may be back on sale that ran out in calm: the sweep's interval and grace (0.8 s), and a margin for a
/// machine that is busy with everything at once and for a storm that comes before the hold was settled (3 s at the earliest).
pub const LAG_LIMIT: Duration = Duration::from_secs(10);
/// How long it may take until nothing is left to be done when clients have left: the longest hold (8 s), the sweep, and a
/// margin for a busy machine.
pub const SETTLE_LIMIT: Duration = Duration::from_secs(30);
/// From here on a run has something of everything.
const LONG: Duration = Duration::from_secs(25);
const UNUSED: &str = "there are links that nothing went over";

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

/// What did not happen, without which the rest proves nothing. Much of it cannot be asked of a run that was cut short.
fn missing(report: &Report) -> Vec<Violation> {
    let calls = report.all_calls();
    let seconds = usize::try_from(report.seconds).unwrap_or(usize::MAX);
    let faults: usize = report.faults.values().sum();
    let booked = |state| report.bookings.get(state).copied().unwrap_or(0);
    let refused = |reason| report.refusals.get(reason).copied().unwrap_or(0);
    let purged = report.timers_purged > 0 || !report.in_vain.contains_key(Fault::Purge.kind());
    let long = report.seconds >= LONG.as_secs();
    let wanted = [
        (report.lag.calm.holds > 0, "no hold ran out in calm"),
        (report.acknowledged > 0, "no booking was acknowledged"),
        (
            report.audited >= report.acknowledged as u64,
            "the audit has not checked every acknowledged booking",
        ),
        (report.seats_sold > 0, "no seat is sold in the end"),
        (report.unused_links.is_empty(), UNUSED),
        (purged, "no purge has thrown a timer away"),
        (!long || report.audits_in_calm > 0, "no audit came to its end in calm"),
        (!long || calls.calls >= seconds, "there was less than a call in a second"),
        (calls.succeeded * 4 >= calls.calls, "less than a quarter of the calls succeeded"),
        (!long || report.reads >= report.seconds, "there was less than a read in a second"),
        (!long || faults >= seconds / 20, "there was less than a fault in 20 s"),
        (!long || report.unknown_attempts > 0, "no attempt was without an answer"),
        (!long || refused("HOLD_EXPIRED") > 0, "nobody came too late"),
        (!long || refused("SEAT_TAKEN") > 0, "nobody wanted a seat of somebody else"),
        (!long || booked("EXPIRED") > 0, "no booking ran out"),
        (!long || booked("CONFIRMED") > 0, "no booking was paid for in the end"),
        (!long || booked("REFUNDED") > 0, "no booking was paid back"),
        (!long || booked("CANCELLED") > 0, "no booking was cancelled"),
    ];
    let absent = wanted.into_iter().filter(|(there, _)| !there);
    let text = |text: &str| match text {
        UNUSED => format!("{text}: {}", report.unused_links.join(", ")),
        _ => text.to_owned(),
    };
    absent
        .map(|(_, what)| Violation { rule: Rule::EnoughHappened, booking: None, text: text(what) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lag::{Lag, Lags};
    use crate::report::Outcomes;

    /// A run of a minute that is sound.
    fn good() -> Report {
        let calm = Lag { holds: 20, longest_ms: 900, ..Lag::default() };
        let calls = Outcomes { calls: 600, succeeded: 300, ..Outcomes::default() };
        let some = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect();
        Report {
            seconds: 60,
            settled_ms: 9_000,
            lag: Lags { calm, overall: calm },
            calls: [("PayBooking", calls)].into(),
            acknowledged: 100,
            audited: 100,
            audits_in_calm: 2,
            seats_sold: 3,
            reads: 100,
            faults: [("link cut", 20)].into(),
            unknown_attempts: 50,
            refusals: some(&["HOLD_EXPIRED", "SEAT_TAKEN"]),
            bookings: some(&["EXPIRED", "CONFIRMED", "REFUNDED", "CANCELLED"]),
            ..Report::default()
        }
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
    fn a_run_in_which_something_is_missing_proves_nothing() {
        let without: [fn(&mut Report); 15] = [
            |report| report.lag.calm.holds = 0,
            |report| report.acknowledged = 0,
            |report| report.audited = 99,
            |report| report.seats_sold = 0,
            |report| report.unused_links = vec!["expirer -> rabbitmq".to_owned()],
            |report| report.in_vain = [(Fault::Purge.kind(), 1)].into(),
            |report| report.calls = [("PayBooking", Outcomes::default())].into(),
            |report| report.calls = [("PayBooking", Outcomes { calls: 600, ..Outcomes::default() })].into(),
            |report| report.audits_in_calm = 0,
            |report| report.reads = 0,
            |report| report.faults.clear(),
            |report| report.unknown_attempts = 0,
            |report| {
                report.refusals.remove("HOLD_EXPIRED");
            },
            |report| {
                report.refusals.remove("SEAT_TAKEN");
            },
            |report| {
                report.bookings.remove("EXPIRED");
            },
        ];
        for (number, take) in without.iter().enumerate() {
            let mut report = good();
            take(&mut report);
            assert_eq!(broken(&report), [Rule::EnoughHappened], "{number}");
        }
    }

    #[test]
    fn of_a_run_that_was_cut_short_little_is_asked() {
        let mut report = Report { seconds: 5, ..good() };
        report.faults.clear();
        report.refusals.clear();
        report.bookings.clear();
        assert_eq!(broken(&report), []);
    }
}
