//! The report: what happened, in numbers, and what must not have.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use proto::catalog::SeatState;
use serde::Serialize;

use crate::books::Books;
use crate::checker::{Rule, Violation};
use crate::fault::Happened;
use crate::history::{Answer, Life, State};
use crate::lag::{Lag, Lags};

/// How many violations of a rule are printed; the file has all.
const PRINTED: usize = 10;

/// What came of the calls of a kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Outcomes {
    /// How many calls.
    pub calls: usize,
    /// Answered with success.
    pub succeeded: usize,
    /// Refused by the rules.
    pub refused: usize,
    /// Never answered, however often they were repeated.
    pub unknown: usize,
    /// Attempts that they took.
    pub attempts: u64,
}

/// The report of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// What the dice started from.
    pub seed: u64,
    /// How long things were broken.
    pub seconds: u64,
    /// How many clients there were.
    pub clients: u64,
    /// What came of the calls, by kind.
    pub calls: BTreeMap<&'static str, Outcomes>,
    /// Refusals by reason.
    pub refusals: BTreeMap<String, usize>,
    /// Attempts that had no answer, or none that said what was done.
    pub unknown_attempts: u64,
    /// Products read by onlookers meanwhile.
    pub reads: u64,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, usize>,
    /// Faults that found nothing to break, by kind.
    pub in_vain: BTreeMap<&'static str, usize>,
    /// How many timers were thrown away.
    pub timers_purged: u64,
    /// Links that nothing went over.
    pub unused_links: Vec<String>,
    /// Bookings on record by state.
    pub bookings: BTreeMap<String, usize>,
    /// Bookings that were acknowledged, each of which must be on record.
    pub acknowledged: usize,
    /// Audits that came to their end meanwhile.
    pub audits: u64,
    /// How many of them while nothing was broken.
    pub audits_in_calm: u64,
    /// Audits that could say nothing, as a service was away.
    pub audits_given_up: u64,
    /// Bookings that the audit in the end has checked.
    pub audited: u64,
    /// Seats that are sold in the end.
    pub seats_sold: usize,
    /// Payments on record by outcome.
    pub payments: BTreeMap<String, usize>,
    /// Holds that ran out before their booking was recorded: their process had died in between.
    pub tombstones: usize,
    /// How late holds ran out.
    pub lag: Lags,
    /// How long it took until nothing was left to be done, once everything was mended.
    pub settled_ms: u64,
    /// By how much the clients' clock differed from the machine's in the end.
    pub drift_ms: u64,
    /// What must not be.
    pub violations: Vec<Violation>,
}

impl Report {
    /// Counts what clients saw and what is on record.
    #[must_use]
    pub fn count(mut self, lives: &[Life], books: &Books, faults: &[Happened]) -> Self {
        for call in lives.iter().flat_map(|life| &life.calls) {
            let outcomes = self.calls.entry(call.what.name()).or_default();
            outcomes.calls += 1;
            outcomes.attempts += u64::from(call.attempts);
            match &call.answer {
                Answer::Booking(_) => outcomes.succeeded += 1,
                Answer::Refused(reason, _) => {
                    outcomes.refused += 1;
                    *self.refusals.entry(name(reason)).or_default() += 1;
                }
                Answer::Unknown => outcomes.unknown += 1,
                Answer::Wrong(_) => {}
            }
        }
        self.acknowledged =
            lives.iter().filter(|life| life.calls.iter().any(|call| call.seen().is_some())).count();
        for fault in faults {
            *self.faults.entry(fault.kind).or_default() += 1;
            self.timers_purged += fault.timers;
        }
        for record in books.bookings.values() {
            *self.bookings.entry(name(&record.state)).or_default() += 1;
            self.tombstones += usize::from(record.tombstone && record.state == State::Expired);
        }
        self.seats_sold = books.seats.iter().filter(|seat| **seat == SeatState::Sold).count();
        for (_, outcome) in books.payments.values() {
            *self.payments.entry(format!("{outcome:?}")).or_default() += 1;
        }
        self
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }

    /// All calls together.
    #[must_use]
    pub fn all_calls(&self) -> Outcomes {
        self.calls.values().fold(Outcomes::default(), |sum, one| Outcomes {
            calls: sum.calls + one.calls,
            succeeded: sum.succeeded + one.succeeded,
            refused: sum.refused + one.refused,
            unknown: sum.unknown + one.unknown,
            attempts: sum.attempts + one.attempts,
        })
    }

    fn write_calls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, reads, unknown_attempts, .. } = self;
        writeln!(
            f,
            "calls                      {:>9} {:>9} {:>9} {:>9} {:>9}",
            "all", "success", "refused", "unknown", "attempts"
        )?;
        for (kind, one) in
            self.calls.iter().map(|(kind, one)| (*kind, *one)).chain([("all", self.all_calls())])
        {
            let Outcomes { calls, succeeded, refused, unknown, attempts } = one;
            writeln!(f, "  {kind:<24} {calls:>9} {succeeded:>9} {refused:>9} {unknown:>9} {attempts:>9}")?;
        }
        writeln!(
            f,
            "  by {clients} clients; {unknown_attempts} attempts of unknown outcome; {reads} reads by onlookers"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_calls(f)?;
        counts(f, "refusals", &self.refusals)?;
        counts(f, "faults", &self.faults)?;
        counts(f, "faults that found nothing", &self.in_vain)?;
        writeln!(f, "timers purged              {:>9}", self.timers_purged)?;
        counts(f, "bookings on record", &self.bookings)?;
        counts(f, "payments on record", &self.payments)?;
        writeln!(f, "acknowledged bookings      {:>9}", self.acknowledged)?;
        writeln!(
            f,
            "audits meanwhile           {:>9}, {} of them in calm; {} could not say",
            self.audits, self.audits_in_calm, self.audits_given_up
        )?;
        writeln!(f, "audited bookings           {:>9}", self.audited)?;
        writeln!(f, "seats sold in the end      {:>9}", self.seats_sold)?;
        writeln!(f, "tombstones                 {:>9}", self.tombstones)?;
        let lag = |lag: Lag| {
            let Lag { holds, p50_ms, p99_ms, longest_ms } = lag;
            format!(
                "longest {longest_ms} ms, p99 {p99_ms} ms, p50 {p50_ms} ms, of {holds} holds that ran out"
            )
        };
        writeln!(f, "expiry lag, all being up   {}", lag(self.lag.calm))?;
        writeln!(f, "expiry lag, with outages   {}", lag(self.lag.overall))?;
        writeln!(
            f,
            "settled after the last fault in {} ms; clocks differed by {} ms",
            self.settled_ms, self.drift_ms
        )?;
        let mut by_rule: BTreeMap<Rule, Vec<&Violation>> = BTreeMap::new();
        for violation in &self.violations {
            by_rule.entry(violation.rule).or_default().push(violation);
        }
        for (rule, violations) in by_rule {
            writeln!(f, "BROKEN {rule:?}: {} times", violations.len())?;
            for Violation { booking, text, .. } in violations.iter().take(PRINTED) {
                writeln!(f, "  {} {text}", booking.map_or(String::new(), |id| format!("booking {id}:")))?;
            }
        }
        writeln!(f, "violations                 {:>9}", self.violations.len())
    }
}

fn counts<K: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    counts: &BTreeMap<K, usize>,
) -> fmt::Result {
    writeln!(f, "{title:<26} {:>9}", counts.values().sum::<usize>())?;
    for (name, count) in counts {
        writeln!(f, "  {name:<34} {count:>9}", name = name.to_string())?;
    }
    Ok(())
}

/// As it is in JSON.
fn name(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// So many milliseconds.
#[must_use]
pub fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
