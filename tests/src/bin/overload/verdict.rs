//! What must hold in a flood.

use std::time::Duration;

use crate::{flood::Flood, load::Tally};

/// The part of the best that must be reached in the flood, of calls that must be sent, and that counts as recovered.
const GOODPUT: f64 = 0.8;
const SENT: f64 = 0.9;
pub(crate) const RECOVERED: f64 = 0.9;
/// How long a refusal may take, 99 of 100.
const REFUSAL: Duration = Duration::from_millis(250);
/// The part of the calls that may run out of time.
const TIMED_OUT: f64 = 0.01;
/// How soon it must be over.
const RECOVERY: Duration = Duration::from_secs(10);
/// What each service may take up (docs/overload.md).
const CATALOG_MIB: u64 = 1_638;
const RESERVATION_MIB: u64 = 704;
const EXPIRER_MIB: u64 = 220;

/// What a flood did.
pub(crate) struct Observed<'a> {
    pub(crate) flood: Flood,
    pub(crate) best: f64,
    pub(crate) meant_rate: f64,
    pub(crate) tally: &'a Tally,
    pub(crate) recovery: Option<Duration>,
    pub(crate) catalog_mib: u64,
    pub(crate) reservation_mib: u64,
    pub(crate) expirer_mib: u64,
}

/// The rules that it broke, in words.
pub(crate) fn broken_rules(seen: &Observed<'_>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut rule = |kept: bool, text: String| {
        if !kept {
            broken.push(format!("{}: {text}", seen.flood.what));
        }
    };
    let defects = seen.tally.defects();
    rule(defects == 0, format!("{defects} calls were answered neither with success nor with a refusal"));
    for (name, mib, limit) in [
        ("catalog", seen.catalog_mib, CATALOG_MIB),
        ("reservation", seen.reservation_mib, RESERVATION_MIB),
        ("expirer", seen.expirer_mib, EXPIRER_MIB),
    ] {
        rule(mib <= limit, format!("{name} took {mib} MiB of {limit}"));
    }
    let recovered = seen.recovery.is_some_and(|after| after <= RECOVERY);
    rule(recovered, format!("it was not over within {} s", RECOVERY.as_secs()));
    if seen.flood.spares_processors {
        let part = seen.tally.sent_rate() / seen.meant_rate;
        rule(part >= SENT, format!("only {:.0} % of the load could be sent", part * 100.0));
        let part = seen.tally.goodput() / seen.best;
        rule(part >= GOODPUT, format!("goodput was {:.0} % of the best", part * 100.0));
        let part = seen.tally.timed_out();
        rule(part <= TIMED_OUT, format!("{:.1} % of the calls ran out of time", part * 100.0));
        let slow = seen.tally.slowest_refusals();
        rule(slow <= REFUSAL, format!("refusals took {} ms (p99)", slow.as_millis()));
    }
    broken
}
