//! Checks of single fields. Each takes the field's path and its value, and answers the parsed value or what is wrong.

use std::{fmt::Display, ops::RangeInclusive};

use prost_types::Duration;
use uuid::Uuid;

use crate::{Violation, time};

/// The most units of a product on one line.
pub const MAX_QUANTITY: i64 = 1_000_000;

/// A UUID in its usual form, 36 characters, in either case (RFC 9562, section 4).
pub fn uuid(path: impl Display, value: &str) -> Result<Uuid, Violation> {
    if value.is_empty() {
        return Err(Violation::new(path, "is required: a UUID"));
    }
    match Uuid::try_parse(value) {
        Ok(id) if value.len() == uuid::fmt::Hyphenated::LENGTH => Ok(id),
        _ => Err(Violation::new(path, "must be a UUID such as 018f3a5e-0000-7000-8000-000000000000")),
    }
}

/// A UUID, or `None` when the field is empty.
pub fn optional_uuid(path: impl Display, value: &str) -> Result<Option<Uuid>, Violation> {
    if value.is_empty() { Ok(None) } else { uuid(path, value).map(Some) }
}

/// A text of so many characters (not bytes), without NUL, which PostgreSQL cannot store.
pub fn text(path: impl Display, value: &str, chars: RangeInclusive<usize>) -> Result<String, Violation> {
    let (least, most) = (*chars.start(), *chars.end());
    if value.is_empty() && least > 0 {
        return Err(Violation::new(path, format!("is required: {least} to {most} characters")));
    }
    // No character is shorter than a byte: a huge text is not counted.
    if value.len() > most.saturating_mul(4) || !chars.contains(&value.chars().count()) {
        return Err(Violation::new(path, format!("must have {least} to {most} characters")));
    }
    if value.contains('\0') {
        return Err(Violation::new(path, "must not contain the NUL character"));
    }
    Ok(value.to_owned())
}

/// An integer within limits.
pub fn integer(
    path: impl Display,
    value: impl Into<i64>,
    range: RangeInclusive<i64>,
) -> Result<i64, Violation> {
    let value = value.into();
    if range.contains(&value) {
        Ok(value)
    } else {
        Err(Violation::new(path, format!("must be {} to {}", range.start(), range.end())))
    }
}

/// Units of a product on one line, 1 to [`MAX_QUANTITY`].
pub fn quantity(path: impl Display, value: i64) -> Result<i64, Violation> {
    integer(path, value, 1..=MAX_QUANTITY)
}

/// How many members a repeated field has.
pub fn count(path: impl Display, len: usize, range: RangeInclusive<usize>) -> Result<usize, Violation> {
    if range.contains(&len) {
        Ok(len)
    } else {
        Err(Violation::new(path, format!("must have {} to {} members", range.start(), range.end())))
    }
}

/// A message, or one of a oneof, that must be set.
pub fn required<T>(path: impl Display, value: Option<T>) -> Result<T, Violation> {
    value.ok_or_else(|| Violation::new(path, "is required"))
}

/// A duration of whole milliseconds within limits, both in milliseconds.
pub fn duration_ms(
    path: impl Display,
    value: Option<&Duration>,
    range_ms: RangeInclusive<i64>,
) -> Result<i64, Violation> {
    let Some(value) = value else { return Err(Violation::new(path, "is required")) };
    let Some(ms) = time::from_duration(value).and_then(time::whole_milliseconds) else {
        return Err(Violation::new(path, "must be a duration of whole milliseconds"));
    };
    if !range_ms.contains(&ms) {
        let description = format!("must be {} to {} milliseconds", range_ms.start(), range_ms.end());
        return Err(Violation::new(path, description));
    }
    Ok(ms)
}

/// As [`duration_ms`]; `None` when the field is not set.
pub fn optional_duration_ms(
    path: impl Display,
    value: Option<&Duration>,
    range_ms: RangeInclusive<i64>,
) -> Result<Option<i64>, Violation> {
    if value.is_none() { Ok(None) } else { duration_ms(path, value, range_ms).map(Some) }
}

/// A value of a proto enum that this server knows; whether the zero value is one is the caller's business.
pub fn known<E: TryFrom<i32>>(path: impl Display, value: i32) -> Result<E, Violation> {
    E::try_from(value).map_err(|_| Violation::new(path, "must be a value of its enum"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_uuid_is_read_in_either_case(bytes: [u8; 16]) {
            let id = Uuid::from_bytes(bytes);
            prop_assert_eq!(uuid("id", &id.to_string()), Ok(id));
            prop_assert_eq!(uuid("id", &id.to_string().to_uppercase()), Ok(id));
        }

        #[test]
        fn a_text_is_kept_exactly_when_it_has_the_characters_and_no_nul(value in "\\PC{0,12}|.{0,12}|a\u{0}b") {
            let good = (2..=8).contains(&value.chars().count()) && !value.contains('\0');
            prop_assert_eq!(text("t", &value, 2..=8), if good { Ok(value.clone()) } else {
                Err(text("t", &value, 2..=8).unwrap_err())
            });
        }

        #[test]
        fn durations_of_whole_milliseconds_survive_and_no_others(ms in 100_i64..=86_400_000, nanos in 0_i32..1_000_000) {
            let mut value = time::to_duration_ms(ms);
            prop_assert_eq!(duration_ms("d", Some(&value), 100..=86_400_000), Ok(ms));
            value.nanos += nanos;
            prop_assert_eq!(duration_ms("d", Some(&value), 100..=86_400_000).is_ok(), nanos == 0);
        }
    }

    #[test]
    fn ids_in_other_forms_are_refused() {
        for value in ["", "x", "018f3a5e00007000800000000000000a", "{018f3a5e-0000-7000-8000-000000000000}"] {
            assert_eq!(uuid("id", value).unwrap_err().field(), "id", "{value}");
        }
        assert_eq!(optional_uuid("id", ""), Ok(None));
        assert!(optional_uuid("id", "x").is_err());
    }

    #[test]
    fn durations_out_of_range_and_malformed_ones_are_refused() {
        for (seconds, nanos) in
            [(0, 99_000_000), (86_401, 0), (-1, 0), (i64::MAX, 0), (1, -1), (0, 2_000_000_000)]
        {
            assert!(
                duration_ms("d", Some(&Duration { seconds, nanos }), 100..=86_400_000).is_err(),
                "{seconds} {nanos}"
            );
        }
        assert!(duration_ms("d", None, 100..=86_400_000).is_err());
        assert_eq!(optional_duration_ms("d", None, 100..=86_400_000), Ok(None));
    }

    #[test]
    fn limits_are_inclusive() {
        assert_eq!(quantity("q", 1), Ok(1));
        assert_eq!(quantity("q", MAX_QUANTITY), Ok(MAX_QUANTITY));
        assert!(
            quantity("q", 0).is_err()
                && quantity("q", -1).is_err()
                && quantity("q", MAX_QUANTITY + 1).is_err()
        );
        assert!(
            count("c", 0, 1..=3).is_err() && count("c", 3, 1..=3).is_ok() && count("c", 4, 1..=3).is_err()
        );
        assert_eq!(required::<u8>("r", None).unwrap_err().field(), "r");
        assert!(known::<proto::catalog::SeatState>("s", 2).is_ok());
        assert!(known::<proto::catalog::SeatState>("s", 99).is_err());
    }
}
