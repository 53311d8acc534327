//! Times and durations between protobuf and Rust.

use ::time::{Duration, OffsetDateTime};

const NANOS_PER_SECOND: u32 = 1_000_000_000;
/// The farthest that `google.protobuf.Duration` reaches either way: about 10,000 years.
const MAX_DURATION_SECONDS: u64 = 315_576_000_000;

/// A time as `google.protobuf.Timestamp`.
#[must_use]
pub fn to_timestamp(time: OffsetDateTime) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: time.unix_timestamp(), nanos: time.nanosecond().cast_signed() }
}

/// The time of a `google.protobuf.Timestamp`; `None` when it is malformed or out of range.
#[must_use]
pub fn from_timestamp(timestamp: &prost_types::Timestamp) -> Option<OffsetDateTime> {
    let nanos = u32::try_from(timestamp.nanos).ok()?;
    OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?.replace_nanosecond(nanos).ok()
}

/// A duration as `google.protobuf.Duration`.
#[must_use]
pub fn to_duration(duration: Duration) -> prost_types::Duration {
    prost_types::Duration { seconds: duration.whole_seconds(), nanos: duration.subsec_nanoseconds() }
}

/// So many milliseconds as `google.protobuf.Duration`.
#[must_use]
pub fn to_duration_ms(ms: i64) -> prost_types::Duration {
    to_duration(Duration::milliseconds(ms))
}

/// The duration of a `google.protobuf.Duration`; `None` when it is malformed or out of range.
#[must_use]
pub fn from_duration(duration: &prost_types::Duration) -> Option<Duration> {
    let prost_types::Duration { seconds, nanos } = *duration;
    let signs_agree = (seconds >= 0 || nanos <= 0) && (seconds <= 0 || nanos >= 0);
    let in_range = seconds.unsigned_abs() <= MAX_DURATION_SECONDS && nanos.unsigned_abs() < NANOS_PER_SECOND;
    (signs_agree && in_range).then(|| Duration::new(seconds, nanos))
}

/// The milliseconds of a duration; `None` when there is a fraction of one.
#[must_use]
pub fn whole_milliseconds(duration: Duration) -> Option<i64> {
    if duration.subsec_nanoseconds() % 1_000_000 != 0 {
        return None;
    }
    i64::try_from(duration.whole_milliseconds()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_survive_the_round_trip(nanos in -62_000_000_000_000_000_000_i128..253_000_000_000_000_000_000) {
            let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
            prop_assert_eq!(from_timestamp(&to_timestamp(time)), Some(time));
        }

        #[test]
        fn durations_survive_the_round_trip(ms in -100_000_000_000_i64..100_000_000_000, nanos in -999_999_i64..=999_999) {
            let duration = Duration::milliseconds(ms) + Duration::nanoseconds(nanos);
            prop_assert_eq!(from_duration(&to_duration(duration)), Some(duration));
            prop_assert_eq!(whole_milliseconds(duration), (nanos == 0).then_some(ms));
        }

        #[test]
        fn no_message_makes_it_panic(seconds: i64, nanos: i32) {
            let _ = from_timestamp(&prost_types::Timestamp { seconds, nanos });
            if let Some(duration) = from_duration(&prost_types::Duration { seconds, nanos }) {
                prop_assert_eq!(to_duration(duration), prost_types::Duration { seconds, nanos });
            }
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        assert_eq!(from_timestamp(&prost_types::Timestamp { seconds: 1, nanos: -1 }), None);
        assert_eq!(from_timestamp(&prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }), None);
        assert_eq!(from_duration(&prost_types::Duration { seconds: 1, nanos: -1 }), None);
        assert_eq!(from_duration(&prost_types::Duration { seconds: i64::MIN, nanos: 0 }), None);
        assert_eq!(from_duration(&prost_types::Duration { seconds: 0, nanos: i32::MIN }), None);
    }
}
