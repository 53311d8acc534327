//! The JSON forms of durations, timestamps and field masks, and of names: proto3's.

use std::fmt::Write as _;

use time::{OffsetDateTime, UtcDateTime, format_description::well_known::Rfc3339};

/// `1.5s`, as seconds and nanoseconds. In its plain form: no sign but minus, no zeros before.
pub(crate) fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let (negative, amount) = match text.strip_suffix('s')?.strip_prefix('-') {
        Some(amount) => (true, amount),
        None => (false, text.strip_suffix('s')?),
    };
    let (seconds, fraction) = amount.split_once('.').unwrap_or((amount, "0"));
    let plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(seconds)
        || (seconds.len() > 1 && seconds.starts_with('0'))
        || !plain(fraction)
        || fraction.len() > 9
    {
        return None;
    }
    let seconds: i64 = seconds.parse().ok()?;
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    Some(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// A duration with no, 3, 6 or 9 digits after the point.
pub(crate) fn format_duration(seconds: i64, nanos: i32) -> String {
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    format!("{sign}{}{}s", seconds.unsigned_abs(), fraction(nanos.unsigned_abs()))
}

/// A time of RFC 3339, as seconds of Unix time and nanoseconds.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some((time.unix_timestamp(), i32::try_from(time.nanosecond()).ok()?))
}

/// A time of RFC 3339 in UTC, with no, 3, 6 or 9 digits after the point; `None` when it is out of all bounds.
pub(crate) fn format_timestamp(seconds: i64, nanos: i32) -> Option<String> {
    let time = UtcDateTime::from_unix_timestamp(seconds).ok()?;
    let (date, fraction) = (time.date(), fraction(nanos.unsigned_abs()));
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    let (hour, minute, second) = time.as_hms();
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

fn fraction(nanos: u32) -> String {
    match nanos {
        0 => String::new(),
        nanos if nanos % 1_000_000 == 0 => format!(".{:03}", nanos / 1_000_000),
        nanos if nanos % 1_000 == 0 => format!(".{:06}", nanos / 1_000),
        nanos => format!(".{nanos:09}"),
    }
}

/// A whole number in its plain form: no sign but minus, no zeros before.
pub(crate) fn parse_integer(text: &str) -> Option<i64> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// `hold_ttl` as JSON has it: `holdTtl`. Applies to each name of a path.
pub(crate) fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut upper = false;
    for letter in name.chars() {
        match letter {
            '_' => upper = true,
            letter if upper => {
                camel.extend(letter.to_uppercase());
                upper = false;
            }
            letter => camel.push(letter),
        }
    }
    camel
}

/// `holdTtl` as protos have it: `hold_ttl`.
pub(crate) fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            let _ = write!(snake, "_{}", letter.to_ascii_lowercase());
        } else {
            snake.push(letter);
        }
    }
    snake
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn durations_are_read_as_they_were_written(seconds in -315_576_000_000_i64..=315_576_000_000, nanos in 0..1_000_000_000_i32) {
            let nanos = if seconds < 0 { -nanos } else { nanos };
            prop_assert_eq!(parse_duration(&format_duration(seconds, nanos)), Some((seconds, nanos)));
        }

        #[test]
        fn timestamps_are_read_as_they_were_written(seconds in -62_135_596_800_i64..=253_402_300_799, nanos in 0..1_000_000_000_i32) {
            let text = format_timestamp(seconds, nanos).unwrap();
            prop_assert_eq!(parse_timestamp(&text), Some((seconds, nanos)), "{}", text);
        }

        #[test]
        fn names_come_back_from_their_other_form(name in "[a-z]{1,8}(_[a-z]{1,8}){0,3}") {
            prop_assert_eq!(snake(&camel(&name)), name);
        }
    }

    #[test]
    fn durations_have_one_form() {
        assert_eq!(parse_duration("0.1s"), Some((0, 100_000_000)));
        assert_eq!(parse_duration("-1.5s"), Some((-1, -500_000_000)));
        for text in ["", "s", "1", "1 s", "+1s", "01s", "1.s", ".5s", "1.0000000001s", "1e3s", "--1s", "1ms"]
        {
            assert_eq!(parse_duration(text), None, "{text:?}");
        }
        assert_eq!(format_duration(59, 998_000_000), "59.998s");
        assert_eq!(format_duration(0, -1), "-0.000000001s");
    }

    #[test]
    fn whole_numbers_have_one_form() {
        assert_eq!(parse_integer("-9223372036854775808"), Some(i64::MIN));
        for text in ["", "+1", "01", "-0", "1.0", "1e3", " 1", "9223372036854775808"] {
            assert_eq!(parse_integer(text), None, "{text:?}");
        }
    }
}
