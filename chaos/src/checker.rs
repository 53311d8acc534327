//! The proof: whether what is on record can explain everything that clients saw. Pure.
//!
//! Answers are facts; what was not answered may have happened or not, and an attempt that was given up for lost may still
//! have its effect much later. So nothing is concluded from a missing answer, and everything from one that came.

mod answers;
mod ends;
mod owners;
mod payments;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::books::Books;
use crate::history::Life;
use crate::time::Time;

/// Something that must never be.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Violation {
    /// The rule that was broken.
    pub rule: Rule,
    /// The booking that it is about, if it is one.
    pub booking: Option<Uuid>,
    /// What is wrong.
    pub text: String,
}

/// The rules.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A booking that was acknowledged is on record.
    NothingIsLost,
    /// What was acknowledged is a step of the booking's history, and answers do not go back in time.
    AnswersAreTrue,
    /// A client hears nothing that is not in the contract.
    AnswersAreProper,
    /// The history follows the table of transitions, and is what the booking is.
    StepsAreLegal,
    /// A step was asked for by a call, in its time, or is an expiry.
    StepsWereAskedFor,
    /// Nothing is confirmed after its deadline, nothing expires or is released before it.
    DeadlinesAreKept,
    /// A seat has one owner at a time, and of a product no more is owned than there is.
    OneOwnerAtATime,
    /// A payment is recorded as it was answered, once; a booking is paid for and paid back once.
    PaymentsAreKept,
    /// In the end every unit is accounted for.
    NoUnitIsMissing,
    /// In the end nothing is left to be done, and every call is answered.
    EverythingSettles,
    /// While nothing is broken, holds that ran out are back on sale in time.
    HoldsEndInTime,
    /// Enough happened for a run without violations to mean anything.
    EnoughHappened,
    /// The audit agrees.
    TheAuditAgrees,
    /// No service ends by itself, panics, or logs an error.
    ServicesAreSound,
}

/// What is known in the end.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// What clients saw.
    pub lives: &'a [Life],
    /// What is on record.
    pub books: &'a Books,
    /// How many of each product there were from the beginning.
    pub on_hand: &'a [i64],
    /// By how much the clients' clock may differ from the databases'.
    pub tolerance: Duration,
    /// When clients were sent away whose calls were still without an answer, with everything mended; none: all had left.
    pub cut_off: Option<Time>,
}

/// Checks every rule that histories and records can break.
#[must_use]
pub fn check(evidence: &Evidence<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for life in evidence.lives {
        let mut case = Case { life, tolerance: evidence.tolerance, found: &mut found };
        answers::proper(&mut case);
        answers::given(evidence.cut_off, &mut case);
        if let Some(record) = evidence.books.bookings.get(&life.id) {
            answers::true_to(record, &mut case);
            steps::legal(record, &mut case);
            steps::asked_for(record, &mut case);
            ends::released_in_time(record, evidence.books.holds.get(&life.id), &mut case);
        } else {
            answers::lost(&mut case);
        }
        payments::kept(evidence.books, &mut case);
    }
    strangers(evidence, &mut found);
    payments::once(evidence, &mut found);
    owners::one_at_a_time(evidence, &mut found);
    ends::accounted_for(evidence, &mut found);
    found
}

/// Bookings and payments that nobody made.
fn strangers(evidence: &Evidence<'_>, found: &mut Vec<Violation>) {
    let known: HashSet<Uuid> = evidence.lives.iter().map(|life| life.id).collect();
    let strangers = evidence.books.bookings.keys().filter(|id| !known.contains(*id));
    found.extend(strangers.map(|id| Violation {
        rule: Rule::StepsWereAskedFor,
        booking: Some(*id),
        text: "nobody made this booking".to_owned(),
    }));
}

/// One booking under examination.
struct Case<'a> {
    life: &'a Life,
    tolerance: Duration,
    found: &'a mut Vec<Violation>,
}

impl Case<'_> {
    fn wrong(&mut self, rule: Rule, text: impl Into<String>) {
        self.found.push(Violation { rule, booking: Some(self.life.id), text: text.into() });
    }

    /// Whether one time is before another, the one by a client's clock, the other by a database's.
    fn is_before(&self, one: Time, other: Time) -> bool {
        one.plus(self.tolerance) < other
    }
}
