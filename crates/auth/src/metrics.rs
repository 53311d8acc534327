//! How the fetching of keys goes.

use std::sync::LazyLock;

use opentelemetry::{KeyValue, metrics::Counter};

/// What came of looking for keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// There are other keys.
    Changed,
    /// They are the same.
    Unchanged,
    /// They are out of reach, or make no sense.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Changed, Self::Unchanged, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

static FETCHES: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::counter(
        "holdfast_auth_key_fetches",
        "Looks at the keys of the tokens' issuer, by what came of them",
    )
});

/// Counts from 0.
pub(crate) fn show() {
    for outcome in Outcome::ALL {
        FETCHES.add(0, &[label(outcome)]);
    }
}

/// Counts a look at the keys.
pub(crate) fn fetched(outcome: Outcome) {
    FETCHES.add(1, &[label(outcome)]);
}

fn label(outcome: Outcome) -> KeyValue {
    KeyValue::new("outcome", outcome.as_str())
}
