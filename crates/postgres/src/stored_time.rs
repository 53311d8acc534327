//! A `timestamptz` as it is found.
//!
//! PostgreSQL has `infinity` and years that [`OffsetDateTime`] has not, and sqlx 0.9.0 panics at them: one damaged row would fail
//! whatever is read beside it. No service writes such times.

use sqlx::{
    Decode, Postgres, Type,
    error::BoxDynError,
    postgres::{PgHasArrayType, PgTypeInfo, PgValueRef},
};
use time::{Duration, OffsetDateTime, macros::datetime};

/// From when PostgreSQL counts the microseconds that it sends.
const EPOCH: OffsetDateTime = datetime!(2000-01-01 00:00 UTC);
/// The years that protobuf's `Timestamp` and RFC 3339 have, but for the last one: so that a hold's time can be added.
const YEARS: std::ops::RangeInclusive<i32> = 1..=9998;

/// A time that was read, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredTime(Option<OffsetDateTime>);

impl StoredTime {
    /// The time; `None` when it is none that a service can have written: the row is damaged.
    #[must_use]
    pub const fn get(self) -> Option<OffsetDateTime> {
        self.0
    }

    fn from_micros(micros: i64) -> Self {
        let time = EPOCH.checked_add(Duration::microseconds(micros));
        Self(time.filter(|time| YEARS.contains(&time.year())))
    }
}

impl From<OffsetDateTime> for StoredTime {
    fn from(time: OffsetDateTime) -> Self {
        Self(Some(time))
    }
}

impl Type<Postgres> for StoredTime {
    fn type_info() -> PgTypeInfo {
        OffsetDateTime::type_info()
    }
}

impl PgHasArrayType for StoredTime {
    fn array_type_info() -> PgTypeInfo {
        OffsetDateTime::array_type_info()
    }
}

impl<'r> Decode<'r, Postgres> for StoredTime {
    fn decode(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as Decode<Postgres>>::decode(value).map(Self::from_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn infinity_and_years_that_nobody_writes_are_no_times() {
        for micros in [i64::MAX, i64::MIN, i64::MAX - 1, i64::MIN + 1, 1 << 62, -(1 << 62)] {
            assert_eq!(StoredTime::from_micros(micros).get(), None, "{micros}");
        }
        for (time, is_time) in [
            (datetime!(2026-11-23 02:40:00.000_001 UTC), true),
            (datetime!(1999-12-31 23:59:59 UTC), true),
            (datetime!(0001-01-01 00:00 UTC), true),
            (datetime!(0000-12-31 23:59:59 UTC), false),
            (datetime!(9998-12-31 23:59:59 UTC), true),
            (datetime!(9999-01-01 00:00 UTC), false),
        ] {
            let micros = i64::try_from((time - EPOCH).whole_microseconds()).expect("it is sent as one");
            assert_eq!(StoredTime::from_micros(micros).get(), is_time.then_some(time));
        }
    }
}
