//! How the fetching of keys goes.

use std::{
    sync::LazyLock,
    time::{Duration, SystemTime},
};

use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge},
};

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

static SEEN: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    telemetry::meter()
        .f64_gauge("holdfast_auth_keys_seen_timestamp_seconds")
        .with_description("When the keys of the tokens' issuer were seen last; 0: never")
        .build()
});

static EXPIRY: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    telemetry::meter()
        .f64_gauge("holdfast_auth_keys_expiry_timestamp_seconds")
        .with_description("Until when the keys that were seen last are believed; 0: none were seen")
        .build()
});

/// Counts from 0.
pub(crate) fn show() {
    SEEN.record(0.0, &[]);
    EXPIRY.record(0.0, &[]);
    for outcome in Outcome::ALL {
        FETCHES.add(0, &[label(outcome)]);
    }
}

/// Counts a look at the keys.
pub(crate) fn fetched(outcome: Outcome) {
    FETCHES.add(1, &[label(outcome)]);
}

/// The keys were seen to be the issuer's, and are believed for so long.
pub(crate) fn seen(max_age: Duration) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SEEN.record(now.as_secs_f64(), &[]);
    EXPIRY.record((now + max_age).as_secs_f64(), &[]);
}

fn label(outcome: Outcome) -> KeyValue {
    KeyValue::new("outcome", outcome.as_str())
}
