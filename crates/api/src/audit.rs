//! What both services tell an auditor, and what they count of it.

use std::fmt::Display;

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge},
};
use proto::audit::{AuditRule, Violation};

/// The rules, without the one that is none.
pub const RULES: [AuditRule; 10] = [
    AuditRule::ProductCounts,
    AuditRule::SeatOwner,
    AuditRule::HoldVerdict,
    AuditRule::BookingHistory,
    AuditRule::ConfirmedInTime,
    AuditRule::HoldOverdue,
    AuditRule::BookingHasHold,
    AuditRule::SettlementCarried,
    AuditRule::PaymentRecorded,
    AuditRule::CustomerCounts,
];

/// The most violations of one kind in one answer, to bound its size.
pub const MAX_VIOLATIONS: i64 = 5_000;

/// The name of a rule as people and metrics know it: `PRODUCT_COUNTS`.
#[must_use]
pub fn rule_name(rule: AuditRule) -> &'static str {
    let name = rule.as_str_name();
    name.strip_prefix("AUDIT_RULE_").unwrap_or(name)
}

/// A violation, with the ids of what breaks the rule.
#[must_use]
pub fn violation<'a>(
    rule: AuditRule,
    ids: impl IntoIterator<Item = (&'a str, &'a dyn Display)>,
    description: impl Into<String>,
) -> Violation {
    let ids = ids.into_iter().map(|(name, id)| (name.to_owned(), id.to_string())).collect();
    Violation { rule: rule.into(), ids, description: description.into() }
}

/// What audits found in this process.
#[derive(Clone, Debug)]
pub struct Found {
    violations: Counter<u64>,
    completed: Gauge<f64>,
}

impl Found {
    /// For a service that checks these rules: each is there from the start, with 0.
    #[must_use]
    pub fn new(rules: &[AuditRule]) -> Self {
        let meter = telemetry::meter();
        let found = Self {
            violations: meter
                .u64_counter("holdfast_audit_violations")
                .with_description("Violations that audits found here, by rule; one that stays is found again")
                .build(),
            completed: meter
                .f64_gauge("holdfast_audit_completed_timestamp_seconds")
                .with_description("When an audit last went through all that this service owns (Unix time)")
                .build(),
        };
        for rule in rules {
            found.violations.add(0, &[KeyValue::new("rule", rule_name(*rule))]);
        }
        found
    }

    /// Counts violations, and logs each: whoever watches the service must not depend on who asked.
    pub fn count(&self, violations: &[Violation]) {
        for violation in violations {
            let rule = rule_name(violation.rule());
            self.violations.add(1, &[KeyValue::new("rule", rule)]);
            tracing::warn!(rule, ids = ?violation.ids, description = violation.description, "an audit found a violation");
        }
    }

    /// An audit has been through everything.
    pub fn completed(&self, now: ::time::OffsetDateTime) {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of this century fit")]
        self.completed.record((now.unix_timestamp_nanos() / 1_000_000) as f64 / 1_000.0, &[]);
    }
}
