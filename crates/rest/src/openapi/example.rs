//! Examples, made of those that the rules of the fields have.

use prost_reflect::{FieldDescriptor, Kind, MessageDescriptor};
use serde_json::{Map, Value as Json, json};

use crate::{
    kinds::{self, Known},
    rule,
};

/// A time that examples have.
const TIME: &str = "2026-01-31T12:00:00.123456Z";

/// A request: what must be there, and what has an example. Ids that the server makes are left to it, so that it may be
/// sent more than once.
pub(crate) fn of_request(message: &MessageDescriptor, skip: &[FieldDescriptor]) -> Json {
    object(message, &|field| {
        let rule = rule::of(field);
        let named = rule.required || !rule.example.is_empty();
        !skip.contains(field)
            && !rule.output_only
            && !rule.refused
            && (named || field.containing_oneof().is_some())
    })
}

/// An answer: everything.
pub(crate) fn of_answer(message: &MessageDescriptor) -> Json {
    object(message, &|_| true)
}

/// A single field.
pub(crate) fn of_field(field: &FieldDescriptor) -> Json {
    single(field, &|_| true)
}

fn object(message: &MessageDescriptor, shown: &dyn Fn(&FieldDescriptor) -> bool) -> Json {
    let mut object = Map::new();
    for field in message.fields().filter(|field| shown(field)) {
        // Of a oneof the first.
        let chosen =
            field.containing_oneof().is_none_or(|oneof| oneof.fields().next().as_ref() == Some(&field));
        if chosen {
            object.insert(field.json_name().to_owned(), value(&field, shown));
        }
    }
    Json::Object(object)
}

fn value(field: &FieldDescriptor, shown: &dyn Fn(&FieldDescriptor) -> bool) -> Json {
    let value = single(field, shown);
    if field.is_list() && !value.is_array() { json!([value]) } else { value }
}

fn single(field: &FieldDescriptor, shown: &dyn Fn(&FieldDescriptor) -> bool) -> Json {
    let rule = rule::of(field);
    if let Ok(example) = serde_json::from_str(&rule.example) {
        return example;
    }
    match field.kind() {
        Kind::Bool => true.into(),
        Kind::Int32 | Kind::Int64 => rule.minimum.unwrap_or(0).max(1).into(),
        Kind::Enum(of) => of.values().nth(1).map_or(Json::Null, |value| value.name().into()),
        Kind::Message(of) => match kinds::known(&of) {
            Some(Known::Duration) => "60s".into(),
            Some(Known::Timestamp) => TIME.into(),
            Some(Known::FieldMask) => "displayName".into(),
            None => object(&of, shown),
        },
        _ if rule.uuid => "018f3a5e-0000-7000-8000-000000000001".into(),
        _ => "".into(),
    }
}
