//! What an audit found.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use api::audit::rule_name;
use proto::{audit as pb, reservation::CompareHoldsResponse};
use serde::{Serialize, Serializer};

/// The most violations of one rule that are listed; all are counted.
const MAX_LISTED: usize = 1_000;

/// What an audit found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// How much was checked.
    pub checked: Checked,
    /// What was under way.
    pub in_flight: InFlight,
    /// What breaks each rule, by the rule's name (`PRODUCT_COUNTS`); none: everything is sound.
    pub violations: BTreeMap<&'static str, Broken>,
    /// How long it took.
    #[serde(rename = "duration_seconds", serialize_with = "seconds")]
    pub duration: Duration,
}

/// How much was checked.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Checked {
    /// Products.
    pub products: u64,
    /// Seats.
    pub seats: u64,
    /// Holds.
    pub holds: u64,
    /// Bookings.
    pub bookings: u64,
}

/// Holds that were under way when they were looked at.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct InFlight {
    /// ACTIVE, claimed by no booking (yet).
    pub unclaimed: u64,
    /// ACTIVE past their deadline, within the limit.
    pub due: u64,
    /// Of decided bookings, with their verdict on its way.
    pub settling: u64,
    /// Under suspicion, and looked at again.
    pub looked_at_again: u64,
}

/// What breaks a rule.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Broken {
    /// How often it is broken.
    pub count: u64,
    /// By what: the first ones.
    pub listed: BTreeSet<Violation>,
}

/// Something that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Violation {
    /// The ids of what breaks it: `booking_id`, `attempt`, `product_id`, `seat_map_id`, `label`, `payment_id`, `sequence`.
    pub ids: BTreeMap<String, String>,
    /// What was found.
    pub description: String,
}

impl Report {
    /// Whether no rule is broken.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty()
    }

    /// How many violations there are.
    #[must_use]
    pub fn violation_count(&self) -> u64 {
        self.violations.values().map(|broken| broken.count).sum()
    }

    pub(crate) fn add(&mut self, violations: Vec<pb::Violation>) {
        for violation in violations {
            let broken = self.violations.entry(rule_name(violation.rule())).or_default();
            let full = broken.listed.len() >= MAX_LISTED;
            let ids = violation.ids.into_iter().collect();
            // Two looks may find the same.
            if full || broken.listed.insert(Violation { ids, description: violation.description }) {
                broken.count += 1;
            }
        }
    }

    pub(crate) fn add_in_flight(&mut self, compared: &CompareHoldsResponse) {
        let count = |count: i32| u64::try_from(count).unwrap_or(0);
        self.in_flight.unclaimed += count(compared.unclaimed);
        self.in_flight.due += count(compared.due);
        self.in_flight.settling += count(compared.settling);
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Checked { products, seats, holds, bookings } = self.checked;
        let seconds = self.duration.as_secs_f64();
        writeln!(
            f,
            "checked {products} products, {seats} seats, {holds} holds, {bookings} bookings in {seconds:.1} s"
        )?;
        let InFlight { unclaimed, due, settling, looked_at_again } = self.in_flight;
        writeln!(
            f,
            "in flight: {unclaimed} holds not claimed yet, {due} due, {settling} being settled; \
             {looked_at_again} looked at again"
        )?;
        if self.is_sound() {
            return write!(f, "sound: no rule is broken");
        }
        write!(f, "VIOLATED: {} times", self.violation_count())?;
        for (rule, broken) in &self.violations {
            write!(f, "\n{rule}: {}", broken.count)?;
            for Violation { ids, description } in &broken.listed {
                write!(f, "\n  {description}\n   ")?;
                ids.iter().try_for_each(|(name, id)| write!(f, " {name}={id}"))?;
            }
            let listed = broken.listed.len() as u64;
            if broken.count > listed {
                write!(f, "\n  and {} more", broken.count - listed)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proto::audit::AuditRule;

    use super::*;

    fn violation(id: usize) -> pb::Violation {
        let id = id.to_string();
        api::audit::violation(AuditRule::SeatOwner, [("label", &id as _)], format!("seat {id} is odd"))
    }

    #[test]
    fn a_report_without_violations_is_sound() {
        let report = Report::default();
        assert!(report.is_sound());
        assert!(report.to_string().ends_with("sound: no rule is broken"), "{report}");
    }

    #[test]
    fn what_is_found_twice_is_one_violation() {
        let mut report = Report::default();
        report.add(vec![violation(1), violation(2), violation(1)]);
        assert_eq!((report.violation_count(), report.is_sound()), (2, false));
        let text = report.to_string();
        assert!(text.contains("VIOLATED: 2 times\nSEAT_OWNER: 2\n  seat 1 is odd\n    label=1"), "{text}");
    }

    #[test]
    fn all_are_counted_and_the_first_are_listed() {
        let mut report = Report::default();
        report.add((0..MAX_LISTED + 5).map(violation).collect());
        assert_eq!(report.violation_count(), MAX_LISTED as u64 + 5);
        assert_eq!(report.violations["SEAT_OWNER"].listed.len(), MAX_LISTED);
        assert!(report.to_string().ends_with("and 5 more"));
    }
}
