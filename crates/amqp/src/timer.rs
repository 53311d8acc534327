//! What a timer message says, and what makes one poison. Pure: bytes in, [`Timer`]s out, and back.

use lapin::{BasicProperties, types::AMQPValue};
use prost::Message as _;
use prost_types::Timestamp;
use proto::{
    catalog::HoldKey,
    events::{HoldTimer, HoldsPlaced},
};
use time::OffsetDateTime;
use uuid::Uuid;

/// The most timers in one message.
pub const MAX_TIMERS: usize = 1_000;

/// The content type of every message.
pub(crate) const PROTOBUF: &str = "application/protobuf";
/// The AMQP type of a timer message.
pub(crate) const TYPE: &str = "holdfast.events.v1.HoldsPlaced";
/// The header that says how the body is to be read. A reader refuses what it does not know, rather than guess.
pub(crate) const VERSION_HEADER: &str = "holdfast-version";
/// How the body is to be read.
pub(crate) const VERSION: i32 = 1;

/// One hold that runs out.
#[derive(Clone, Debug, PartialEq)]
pub struct Timer {
    /// The hold: its `booking_id` is a UUID, its attempt at least 1.
    pub key: HoldKey,
    /// When it runs out, by the reservation database's clock.
    pub expires_at: OffsetDateTime,
}

/// Why a message cannot be handled, now or ever.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Poison {
    /// It is not a timer message.
    #[error("its content type is {content_type:?} and its type {message_type:?}")]
    Foreign {
        /// The content type, empty if there is none.
        content_type: String,
        /// The AMQP type, empty if there is none.
        message_type: String,
    },
    /// It is of a version that this reader does not know.
    #[error("its version is {0:?}")]
    Version(Option<i64>),
    /// Its body is no `HoldsPlaced`.
    #[error("its body cannot be decoded")]
    Malformed(#[from] prost::DecodeError),
    /// It names no hold, or too many.
    #[error("it names {0} holds")]
    Count(usize),
    /// This hold, counted from 0, has no valid key or deadline.
    #[error("its hold {0} has no valid key or deadline")]
    Hold(usize),
}

/// The body of a message with these timers.
pub(crate) fn encode(timers: &[Timer]) -> Vec<u8> {
    debug_assert!((1..=MAX_TIMERS).contains(&timers.len()), "{} timers in a message", timers.len());
    let holds = timers.iter().map(|timer| HoldTimer {
        key: Some(timer.key.clone()),
        expire_time: Some(to_timestamp(timer.expires_at)),
    });
    HoldsPlaced { holds: holds.collect() }.encode_to_vec()
}

/// The timers of a message.
pub(crate) fn decode(properties: &BasicProperties, body: &[u8]) -> Result<Vec<Timer>, Poison> {
    let content_type = properties.content_type().as_ref().map_or("", |value| value.as_str());
    let message_type = properties.kind().as_ref().map_or("", |value| value.as_str());
    if content_type != PROTOBUF || message_type != TYPE {
        return Err(Poison::Foreign {
            content_type: content_type.to_owned(),
            message_type: message_type.to_owned(),
        });
    }
    let headers = properties.headers().as_ref().map(lapin::types::FieldTable::inner);
    let version = headers.and_then(|headers| headers.get(VERSION_HEADER)).and_then(integer);
    if version != Some(i64::from(VERSION)) {
        return Err(Poison::Version(version));
    }
    let holds = HoldsPlaced::decode(body)?.holds;
    if !(1..=MAX_TIMERS).contains(&holds.len()) {
        return Err(Poison::Count(holds.len()));
    }
    holds.into_iter().enumerate().map(|(index, hold)| timer(hold).ok_or(Poison::Hold(index))).collect()
}

fn timer(hold: HoldTimer) -> Option<Timer> {
    let key = hold.key.filter(|key| key.attempt >= 1 && Uuid::try_parse(&key.booking_id).is_ok())?;
    Some(Timer { key, expires_at: from_timestamp(hold.expire_time?)? })
}

/// Integers keep their width on the wire, and other publishers choose another one.
fn integer(value: &AMQPValue) -> Option<i64> {
    match value {
        AMQPValue::ShortShortInt(value) => Some((*value).into()),
        AMQPValue::ShortShortUInt(value) => Some((*value).into()),
        AMQPValue::ShortInt(value) => Some((*value).into()),
        AMQPValue::ShortUInt(value) => Some((*value).into()),
        AMQPValue::LongInt(value) => Some((*value).into()),
        AMQPValue::LongUInt(value) => Some((*value).into()),
        AMQPValue::LongLongInt(value) => Some(*value),
        _ => None,
    }
}

fn to_timestamp(time: OffsetDateTime) -> Timestamp {
    let nanos = i32::try_from(time.nanosecond()).expect("less than a second of nanoseconds");
    Timestamp { seconds: time.unix_timestamp(), nanos }
}

fn from_timestamp(timestamp: Timestamp) -> Option<OffsetDateTime> {
    let time = OffsetDateTime::from_unix_timestamp(timestamp.seconds).ok()?;
    time.replace_nanosecond(u32::try_from(timestamp.nanos).ok()?).ok()
}

#[cfg(test)]
mod tests;
