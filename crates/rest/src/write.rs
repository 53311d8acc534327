//! Messages to JSON, by proto3's mapping: `lowerCamelCase`, fields in the order of the proto.
//!
//! Every field is there: one that has its default with that default, a message that is not set as null. Only of a oneof
//! the fields that are not chosen are left out. 64-bit numbers are numbers as far as JavaScript has them exactly.

use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};
use serde::ser::{Error as _, Serialize, SerializeMap as _, Serializer};

use crate::{
    kinds::{self, Known},
    read::MAX_SAFE_INTEGER,
    text,
};

/// A message, to be written as JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written<'a>(pub(crate) &'a DynamicMessage);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let message = self.0;
        let descriptor = message.descriptor();
        match kinds::known(&descriptor) {
            Some(Known::Duration) => {
                let (seconds, nanos) = pair(message);
                to.serialize_str(&text::format_duration(seconds, nanos))
            }
            Some(Known::Timestamp) => {
                let (seconds, nanos) = pair(message);
                let time = text::format_timestamp(seconds, nanos);
                to.serialize_str(&time.ok_or_else(|| S::Error::custom("a time out of all bounds"))?)
            }
            Some(Known::FieldMask) => {
                let names = message.get_field_by_number(1);
                let names = names.as_ref().and_then(|names| names.as_list()).unwrap_or_default();
                let names: Vec<_> = names.iter().filter_map(Value::as_str).map(text::camel).collect();
                to.serialize_str(&names.join(","))
            }
            None => {
                let mut object = to.serialize_map(None)?;
                for field in descriptor.fields() {
                    if field.containing_oneof().is_none() || message.has_field(&field) {
                        object.serialize_entry(field.json_name(), &Field { message, field: &field })?;
                    }
                }
                object.end()
            }
        }
    }
}

/// A field of a message.
struct Field<'a> {
    message: &'a DynamicMessage,
    field: &'a FieldDescriptor,
}

impl Serialize for Field<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        if self.field.supports_presence() && !self.message.has_field(self.field) {
            return to.serialize_unit();
        }
        let kind = self.field.kind();
        match &*self.message.get_field(self.field) {
            Value::List(members) => to.collect_seq(members.iter().map(|value| Single { value, kind: &kind })),
            value => Single { value, kind: &kind }.serialize(to),
        }
    }
}

/// A value that is no list.
struct Single<'a> {
    value: &'a Value,
    kind: &'a Kind,
}

impl Serialize for Single<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.value {
            Value::Bool(value) => to.serialize_bool(*value),
            Value::I32(value) => to.serialize_i32(*value),
            Value::I64(value) if value.unsigned_abs() <= MAX_SAFE_INTEGER.unsigned_abs() => {
                to.serialize_i64(*value)
            }
            Value::I64(value) => to.collect_str(value),
            Value::String(value) => to.serialize_str(value),
            Value::EnumNumber(number) => match self.kind.as_enum().and_then(|of| of.get_value(*number)) {
                Some(value) => to.serialize_str(value.name()),
                None => to.serialize_i32(*number),
            },
            Value::Message(message) => Written(message).serialize(to),
            _ => Err(S::Error::custom("a type that this API does not have")),
        }
    }
}

/// The seconds and nanoseconds of a duration or a time.
fn pair(message: &DynamicMessage) -> (i64, i32) {
    let seconds = message.get_field_by_number(1).and_then(|value| value.as_i64()).unwrap_or_default();
    let nanos = message.get_field_by_number(2).and_then(|value| value.as_i32()).unwrap_or_default();
    (seconds, nanos)
}
