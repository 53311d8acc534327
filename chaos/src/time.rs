//! Times of clients, services and databases, all on one machine: microseconds, as PostgreSQL keeps them.

use std::time::{Duration, Instant, SystemTime};

use prost_types::Timestamp;
use serde::Serialize;

/// Microseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Time(i64);

impl Time {
    /// Later than everything.
    pub const NEVER: Self = Self(i64::MAX);

    /// From microseconds since the Unix epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From a message. Below a microsecond nothing is kept: the databases have nothing there.
    #[must_use]
    pub fn from_proto(time: Timestamp) -> Self {
        Self(time.seconds * 1_000_000 + i64::from(time.nanos) / 1_000)
    }

    /// From a row.
    #[must_use]
    pub fn from_row(time: time::OffsetDateTime) -> Self {
        Self(i64::try_from(time.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX))
    }

    /// So much later; never stays never.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// So much earlier; never stays never.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        if self == Self::NEVER { self } else { Self(self.0.saturating_sub(micros(duration))) }
    }

    /// How much later this is than `other`; zero when it is not.
    #[must_use]
    pub fn since(self, other: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(other.0)).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// The clock of all clients: set by the machine's once, and monotone from then on.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Time,
    start: Instant,
}

impl Clock {
    /// Starts it.
    #[must_use]
    pub fn start() -> Self {
        Self { wall: wall(), start: Instant::now() }
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Time {
        self.wall.plus(self.start.elapsed())
    }

    /// How long it has been going.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// How far the machine's clock, by which the databases go, is from it by now.
    #[must_use]
    pub fn drift(&self) -> Duration {
        let (own, wall) = (self.now(), wall());
        own.since(wall).max(wall.since(own))
    }
}

fn wall() -> Time {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Time(micros(since_epoch.unwrap_or_default()))
}
