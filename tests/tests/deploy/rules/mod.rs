//! What must hold of every overlay. A rule answers with complaints.

mod pods;
mod scaling;
mod secrets;
mod tls;
mod wiring;

pub(crate) use wiring::selects;

use crate::documents::Documents;

/// A rule, by name.
pub(crate) type Rule = (&'static str, fn(&Documents) -> Vec<String>);

/// All of them.
pub(crate) const RULES: [Rule; 23] = [
    ("probes", pods::probes),
    ("resources", pods::resources),
    ("memory", pods::memory),
    ("confinement", pods::confinement),
    ("accounts", pods::accounts),
    ("stopping", pods::stopping),
    ("images", pods::images),
    ("selectors", wiring::selectors),
    ("ports", wiring::ports),
    ("addresses", wiring::addresses),
    ("options", wiring::options),
    ("literals", secrets::literals),
    ("references", secrets::references),
    ("disruption", scaling::disruption),
    ("targets", scaling::targets),
    ("connections", scaling::connections),
    ("spread", scaling::spread),
    ("backups", scaling::backups),
    ("files", tls::files),
    ("serving", tls::serving),
    ("calling", tls::calling),
    ("callers", tls::callers),
    ("rates", wiring::rates),
];

/// The complaints of a rule.
pub(crate) fn complaints_of(rule: &str, documents: &Documents) -> Vec<String> {
    let found = RULES.iter().find(|(name, _)| *name == rule);
    found.unwrap_or_else(|| panic!("there is no rule {rule}")).1(documents)
}

#[test]
fn every_overlay_keeps_every_rule() {
    for overlay in crate::documents::OVERLAYS {
        let documents = Documents::of(overlay);
        for (rule, judge) in RULES {
            assert_eq!(judge(&documents), [""; 0], "{rule} in {overlay}");
        }
    }
}
