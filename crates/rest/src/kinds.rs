//! The types that JSON treats in a way of its own.

use prost_reflect::{EnumDescriptor, MessageDescriptor};

/// A message with a JSON form of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// `1.5s`.
    Duration,
    /// `2026-01-31T12:00:00Z`.
    Timestamp,
    /// `displayName,price`.
    FieldMask,
}

/// Which of them a message is.
pub(crate) fn known(message: &MessageDescriptor) -> Option<Known> {
    match message.full_name() {
        "google.protobuf.Duration" => Some(Known::Duration),
        "google.protobuf.Timestamp" => Some(Known::Timestamp),
        "google.protobuf.FieldMask" => Some(Known::FieldMask),
        _ => None,
    }
}

/// What the names of an enum's values begin with: `BOOKING_STATE_`.
pub(crate) fn prefix(of: &EnumDescriptor) -> String {
    let zero = of.default_value();
    zero.name().strip_suffix("UNSPECIFIED").unwrap_or_default().to_owned()
}
