//! What the catalog counts: what became of holds. By the batch, so that one hold costs next to nothing.

use std::{collections::BTreeMap, sync::LazyLock};

use api::reason_name;
use opentelemetry::{KeyValue, metrics::Counter};
use proto::catalog::ErrorReason;

use crate::{
    convert::hold::refusal_reason,
    domain::{
        hold::{HoldKey, HoldState},
        place,
        settle::{self, Verdict},
    },
};

/// All labels are there from the start, with 0.
static HOLDS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let holds = telemetry::counter(
        "holdfast_holds",
        "Holds that were asked for, by what became of them and why they were refused",
    );
    let refused = REASONS.map(|reason| ("refused", reason_name(reason.as_str_name())));
    for (outcome, reason) in [("placed", ""), ("settled", ""), ("damaged", "")].into_iter().chain(refused) {
        holds.add(0, &[KeyValue::new("outcome", outcome), KeyValue::new("reason", reason)]);
    }
    holds
});

/// The same.
static SETTLEMENTS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let settlements =
        telemetry::counter("holdfast_settlements", "Verdicts on holds, by what they said and what they did");
    for verdict in ["commit", "release", "review"] {
        for outcome in ["settled", "unchanged", "unknown"] {
            let labels = [KeyValue::new("verdict", verdict), KeyValue::new("outcome", outcome)];
            settlements.add(0, &labels);
        }
    }
    settlements
});

/// Why holds are refused.
const REASONS: [ErrorReason; 11] = [
    ErrorReason::ProductNotFound,
    ErrorReason::SeatMapNotFound,
    ErrorReason::SeatNotFound,
    ErrorReason::SeatTaken,
    ErrorReason::SeatBlocked,
    ErrorReason::InsufficientStock,
    ErrorReason::CurrencyMismatch,
    ErrorReason::TotalTooLarge,
    ErrorReason::IdReused,
    ErrorReason::CustomerLimit,
    ErrorReason::OpenHoldsLimit,
];

/// Makes the instruments, so that they are there before there is anything to count.
pub(crate) fn show() {
    LazyLock::force(&HOLDS);
    LazyLock::force(&SETTLEMENTS);
}

/// Holds were asked for, and this became of them.
pub(crate) fn placed(outcomes: &[place::Outcome]) {
    let labels = |outcome: &place::Outcome| match outcome {
        place::Outcome::Placed(hold) if hold.state == HoldState::Active => ("placed", ""),
        place::Outcome::Placed(_) => ("settled", ""),
        place::Outcome::Damaged => ("damaged", ""),
        place::Outcome::Refused { reason, .. } => {
            ("refused", reason_name(refusal_reason(reason).as_str_name()))
        }
    };
    for ((outcome, reason), count) in tally(outcomes.iter().map(labels)) {
        HOLDS.add(count, &[KeyValue::new("outcome", outcome), KeyValue::new("reason", reason)]);
    }
}

/// Verdicts came, and did this.
pub(crate) fn settled(verdicts: &[(HoldKey, Verdict)], outcomes: &[settle::Outcome]) {
    let labels = |((_, verdict), outcome): (&(HoldKey, Verdict), &settle::Outcome)| {
        let verdict = match verdict {
            Verdict::Commit => "commit",
            Verdict::Release => "release",
            Verdict::ReviewAfter(_) => "review",
        };
        let outcome = match outcome {
            settle::Outcome::Settled => "settled",
            settle::Outcome::Unchanged => "unchanged",
            settle::Outcome::Unknown => "unknown",
        };
        (verdict, outcome)
    };
    for ((verdict, outcome), count) in tally(verdicts.iter().zip(outcomes).map(labels)) {
        SETTLEMENTS.add(count, &[KeyValue::new("verdict", verdict), KeyValue::new("outcome", outcome)]);
    }
}

type Labels = (&'static str, &'static str);

fn tally(all: impl Iterator<Item = Labels>) -> BTreeMap<Labels, u64> {
    all.fold(BTreeMap::new(), |mut counts, labels| {
        *counts.entry(labels).or_default() += 1;
        counts
    })
}
