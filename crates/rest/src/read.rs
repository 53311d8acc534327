//! JSON to messages, by proto3's mapping and a little stricter: nothing that is not understood is passed over.
//!
//! Names may be written as in JSON (`holdTtl`) or as in the proto (`hold_ttl`), 64-bit numbers as numbers or as texts, values
//! of enums with or without their prefix. What is wrong is gathered and named by its place.

use api::{Violation, Violations};
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor, ReflectMessage as _, Value,
};

use crate::{
    json::{Fields, Json},
    kinds::{self, Known},
    place::Place,
    rule, text,
};

/// The largest whole number that a double has exactly, as JavaScript's numbers do.
pub(crate) const MAX_SAFE_INTEGER: i64 = (1 << 53) - 1;

/// Which fields of a message were given so far, whatever they hold: one that holds its default looks as if it was not.
#[derive(Debug, Default)]
pub(crate) struct Given(Vec<u32>);

impl Given {
    /// Whether this is the first time that a field is given.
    pub(crate) fn is_first(&mut self, field: &FieldDescriptor) -> bool {
        let first = !self.0.contains(&field.number());
        if first {
            self.0.push(field.number());
        }
        first
    }
}

/// Reads, and gathers what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    pub(crate) bad: Violations,
}

impl Reader {
    /// Reads the fields of an object into a message.
    pub(crate) fn fields(&mut self, message: &mut DynamicMessage, object: Fields, at: Place<'_>) {
        let descriptor = message.descriptor();
        let mut given = Given::default();
        for (name, json) in object {
            let at = at.field(&name);
            let Some(field) = find(&descriptor, &name) else {
                self.note(at, "there is no such field");
                continue;
            };
            if !given.is_first(&field) {
                self.note(at, "must be given once");
            } else if let Some(other) = other_choice(message, &field) {
                self.note(at, format!("excludes {}: one of them only", other.json_name()));
            } else if let Some(value) = self.field(&field, json, at) {
                message.set_field(&field, value);
            }
        }
    }

    /// Reads the value of a field. `None`: there is none, or it is bad.
    pub(crate) fn field(&mut self, field: &FieldDescriptor, json: Json, at: Place<'_>) -> Option<Value> {
        let kind = field.kind();
        match json {
            Json::Null if matches!(kind, Kind::Message(_)) && !field.is_list() => None,
            Json::Null => self.refuse(at, "must not be null; leave it out instead"),
            Json::List(members) if field.is_list() => {
                // Before any of them is made into a message, of which each takes far more room than its text.
                let most = rule::of(field).max_items as usize;
                if most > 0 && members.len() > most {
                    return self.refuse(at, format!("must have at most {most} members"));
                }
                let read = |(index, json)| self.single(&kind, json, at.member(index));
                Some(Value::List(members.into_iter().enumerate().filter_map(read).collect()))
            }
            _ if field.is_list() => self.refuse(at, "must be a list"),
            json => self.single(&kind, json, at),
        }
    }

    fn single(&mut self, kind: &Kind, json: Json, at: Place<'_>) -> Option<Value> {
        let expected = match (kind, json) {
            (Kind::Bool, Json::Bool(value)) => return Some(Value::Bool(value)),
            (Kind::Bool, _) => "must be true or false",
            (Kind::String, Json::Text(value)) => return Some(Value::String(value)),
            (Kind::String, _) => "must be a text",
            (Kind::Int32, json) => match integer(&json).and_then(|value| i32::try_from(value).ok()) {
                Some(value) => return Some(Value::I32(value)),
                None => "must be a whole number of 32 bits",
            },
            (Kind::Int64, json) => match integer(&json).or_else(|| text::parse_integer(json.as_text()?)) {
                Some(value) => return Some(Value::I64(value)),
                None => "must be a whole number of 64 bits, as a number or as a text",
            },
            (Kind::Enum(of), json) => match json.as_text().and_then(|name| number(of, name)) {
                Some(number) => return Some(Value::EnumNumber(number)),
                None => return self.refuse(at, format!("must be one of {}", names(of))),
            },
            (Kind::Message(of), json) => return self.message(of, json, at),
            _ => "cannot be given in JSON",
        };
        self.refuse(at, expected)
    }

    fn message(&mut self, of: &MessageDescriptor, json: Json, at: Place<'_>) -> Option<Value> {
        let (expected, message) = match (kinds::known(of), json) {
            (None, Json::Object(object)) => {
                let mut message = DynamicMessage::new(of.clone());
                self.fields(&mut message, object, at);
                return Some(Value::Message(message));
            }
            (None, _) => ("must be an object", None),
            (Some(known), json) => {
                let text = json.as_text();
                match known {
                    Known::Duration => (
                        "must be a duration in seconds such as \"1.5s\"",
                        text.and_then(text::parse_duration).map(|pair| timed(of, pair)),
                    ),
                    Known::Timestamp => (
                        "must be a time such as \"2026-01-31T12:00:00Z\" (RFC 3339)",
                        text.and_then(text::parse_timestamp).map(|pair| timed(of, pair)),
                    ),
                    Known::FieldMask => (
                        "must be names of fields, parted by commas",
                        text.filter(|text| text.is_empty() || text.split(',').all(|name| !name.is_empty()))
                            .map(|text| mask(of, text.split(','))),
                    ),
                }
            }
        };
        message.map(Value::Message).or_else(|| self.refuse(at, expected))
    }

    /// Notes what is wrong at a place.
    pub(crate) fn note(&mut self, at: Place<'_>, what: impl Into<String>) {
        self.bad.add(Violation::new(at, what));
    }

    /// The same, where a value was wanted.
    fn refuse<T>(&mut self, at: Place<'_>, what: impl Into<String>) -> Option<T> {
        self.note(at, what);
        None
    }
}

/// The field of a name in either form.
pub(crate) fn find(message: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    message.get_field_by_json_name(name).or_else(|| message.get_field_by_name(name))
}

/// A mask of these fields, named in either form.
pub(crate) fn mask<'a>(of: &MessageDescriptor, names: impl Iterator<Item = &'a str>) -> DynamicMessage {
    let names = names.filter(|name| !name.is_empty()).map(|name| Value::String(text::snake(name))).collect();
    let mut mask = DynamicMessage::new(of.clone());
    mask.set_field_by_number(1, Value::List(names));
    mask
}

/// The field of the same oneof that is set already.
fn other_choice(message: &DynamicMessage, field: &FieldDescriptor) -> Option<FieldDescriptor> {
    field.containing_oneof()?.fields().find(|other| message.has_field(other))
}

/// A whole number, however it is written.
fn integer(json: &Json) -> Option<i64> {
    let Json::Number(number) = json else { return None };
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "within the safe integers"
    )]
    let from_float =
        |value: f64| (value.fract() == 0.0 && value.abs() <= MAX_SAFE_INTEGER as f64).then_some(value as i64);
    number.as_i64().or_else(|| from_float(number.as_f64()?))
}

/// The number of an enum's value, named with or without the prefix.
fn number(of: &EnumDescriptor, name: &str) -> Option<i32> {
    let value = of.get_value_by_name(name);
    let value = value.or_else(|| of.get_value_by_name(&format!("{}{name}", kinds::prefix(of))))?;
    Some(value.number())
}

fn names(of: &EnumDescriptor) -> String {
    of.values().map(|value| value.name().to_owned()).collect::<Vec<_>>().join(", ")
}

fn timed(of: &MessageDescriptor, (seconds, nanos): (i64, i32)) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    message.set_field_by_number(1, Value::I64(seconds));
    message.set_field_by_number(2, Value::I32(nanos));
    message
}
