//! What an audit says, as violations.

use crate::checker::{Rule, Violation};

/// What it found.
pub(crate) fn violations(audited: &audit::Report) -> Vec<Violation> {
    let broken = audited.violations.iter().flat_map(|(rule, broken)| {
        broken.listed.iter().map(move |one| format!("{rule}: {} {:?}", one.description, one.ids))
    });
    broken.map(|text| Violation { rule: Rule::TheAuditAgrees, booking: None, text }).collect()
}
