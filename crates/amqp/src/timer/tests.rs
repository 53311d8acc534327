//! Timer messages there and back, and every way to be poison.

use lapin::types::FieldTable;
use proptest::prelude::*;
use time::macros::datetime;

use super::*;
use crate::{Message, Route};

const DEADLINE: OffsetDateTime = datetime!(2026-11-22 10:00:00.123456 UTC);

fn some_timer() -> Timer {
    Timer { key: HoldKey { booking_id: Uuid::from_u128(7).to_string(), attempt: 1 }, expires_at: DEADLINE }
}

/// A message with one timer whose parts the tests then spoil.
fn message() -> Message {
    Message::timer(
        Route::Due,
        &[some_timer()],
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    )
}

fn body(holds: Vec<HoldTimer>) -> Vec<u8> {
    HoldsPlaced { holds }.encode_to_vec()
}

#[test]
fn what_was_encoded_is_decoded() {
    let message = message();
    assert_eq!(decode(&message.properties, &message.body), Ok(vec![some_timer()]));
}

#[test]
fn another_type_or_content_type_is_poison() {
    let message = message();
    for properties in [
        message.properties.clone().with_type("holdfast.events.v1.Other".into()),
        message.properties.clone().with_content_type("application/json".into()),
        BasicProperties::default(),
    ] {
        assert!(matches!(decode(&properties, &message.body), Err(Poison::Foreign { .. })));
    }
}

#[test]
fn another_version_or_none_is_poison() {
    let message = message();
    let none = message.properties.clone().with_headers(FieldTable::default());
    assert_eq!(decode(&none, &message.body), Err(Poison::Version(None)));
    let mut headers = FieldTable::default();
    headers.insert(VERSION_HEADER.into(), AMQPValue::ShortShortUInt(2));
    let next = message.properties.clone().with_headers(headers);
    assert_eq!(decode(&next, &message.body), Err(Poison::Version(Some(2))));
}

#[test]
fn a_body_that_is_no_protobuf_is_poison() {
    assert!(matches!(decode(&message().properties, b"{\"holds\":[]}"), Err(Poison::Malformed(_))));
}

#[test]
fn no_hold_or_too_many_are_poison() {
    let properties = message().properties;
    assert_eq!(decode(&properties, &[]), Err(Poison::Count(0)));
    let many = body(vec![HoldTimer::default(); MAX_TIMERS + 1]);
    assert_eq!(decode(&properties, &many), Err(Poison::Count(MAX_TIMERS + 1)));
}

#[test]
fn a_hold_without_a_valid_key_or_deadline_is_poison() {
    let good = HoldTimer { key: Some(some_timer().key), expire_time: Some(to_timestamp(DEADLINE)) };
    let key = |booking_id: &str, attempt| Some(HoldKey { booking_id: booking_id.to_owned(), attempt });
    let properties = message().properties;
    for bad in [
        HoldTimer { key: None, ..good.clone() },
        HoldTimer { key: key("7", 1), ..good.clone() },
        HoldTimer { key: key(&Uuid::from_u128(7).to_string(), 0), ..good.clone() },
        HoldTimer { expire_time: None, ..good.clone() },
        HoldTimer { expire_time: Some(Timestamp { seconds: i64::MAX, nanos: 0 }), ..good.clone() },
        HoldTimer { expire_time: Some(Timestamp { seconds: 0, nanos: -1 }), ..good.clone() },
    ] {
        assert_eq!(decode(&properties, &body(vec![good.clone(), bad])), Err(Poison::Hold(1)));
    }
}

proptest! {
    #[test]
    fn bytes_of_any_kind_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&message().properties, &bytes);
    }

    #[test]
    fn any_deadline_survives_to_the_nanosecond(nanos in 0..4_000_000_000_000_000_000_i128) {
        let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap();
        prop_assert_eq!(from_timestamp(to_timestamp(time)), Some(time));
    }
}
