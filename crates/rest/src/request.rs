//! From an HTTP request to the message of its RPC: path, query and body, all of it or a list of what is wrong.

use std::slice;

use api::Violations;
use http::Method;
use percent_encoding::percent_decode_str;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, ReflectMessage as _, Value};
use url::form_urlencoded;

use crate::{
    json::{Fields, Json},
    kinds::{self, Known},
    place::Place,
    read::{self, Given, Reader},
    route::{Content, Route},
    rule, text,
};

/// What an update names by its etag is not changed by it.
const ETAG: &str = "etag";

/// The message that a request stands for. `values` are those of the path's variables, `body` is what it was sent with.
pub(crate) fn message(
    route: &Route,
    values: &[&str],
    query: &str,
    body: Option<Json>,
) -> Result<DynamicMessage, Violations> {
    let mut reader = Reader::default();
    let mut message = DynamicMessage::new(route.rpc.input());
    let given = read_body(&mut reader, &mut message, route, body);
    read_query(&mut reader, &mut message, route, query);
    for (way, value) in route.variables.iter().zip(values) {
        let name = way.last().map_or("path", FieldDescriptor::json_name);
        match percent_decode_str(value).decode_utf8() {
            Ok(value) if differs(&message, way, &value) => {
                reader.note(Place::Top.field(name), "differs from the path");
            }
            Ok(value) => set(&mut message, way, value.into_owned()),
            Err(_) => reader.note(Place::Top.field(name), "must be UTF-8"),
        }
    }
    check_names(&mut reader, &message, route);
    if route.method == Method::PATCH {
        complete_mask(&mut message, &given);
    }
    reader.bad.check()?;
    Ok(message)
}

/// Reads the body, and answers which of its fields it gave.
fn read_body(
    reader: &mut Reader,
    message: &mut DynamicMessage,
    route: &Route,
    body: Option<Json>,
) -> Vec<FieldDescriptor> {
    let object = match (body, &route.body) {
        (None, Content::Nothing | Content::Message) => return Vec::new(),
        (None, Content::Field(_)) => {
            reader.note(Place::Top, "is required");
            return Vec::new();
        }
        (Some(_), Content::Nothing) => {
            reader.note(Place::Top, "must be left out");
            return Vec::new();
        }
        (Some(Json::Object(object)), _) => object,
        (Some(_), _) => {
            reader.note(Place::Top, "must be a JSON object");
            return Vec::new();
        }
    };
    let Content::Field(field) = &route.body else {
        let object = without_path(reader, route, object);
        reader.fields(message, object, Place::Top);
        return Vec::new();
    };
    let Kind::Message(of) = field.kind() else { return Vec::new() };
    let given = object.iter().filter_map(|(name, _)| read::find(&of, name)).collect();
    let mut part = DynamicMessage::new(of);
    reader.fields(&mut part, object, Place::Top);
    message.set_field(field, Value::Message(part));
    given
}

/// What stands in the path must not stand in the body as well.
fn without_path(reader: &mut Reader, route: &Route, object: Fields) -> Fields {
    let input = route.rpc.input();
    let mut keep = |name: &String| {
        let twice = read::find(&input, name).is_some_and(|field| route.is_in_path(&field));
        if twice {
            reader.note(Place::Top.field(name), "is in the path: leave it out here");
        }
        !twice
    };
    object.into_iter().filter(|(name, _)| keep(name)).collect()
}

fn read_query(reader: &mut Reader, message: &mut DynamicMessage, route: &Route, query: &str) {
    if query.is_empty() {
        return;
    }
    let parameters = route.parameters();
    let mut given = Given::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let at = Place::Top.field(&name);
        let field = read::find(&route.rpc.input(), &name).filter(|field| parameters.contains(field));
        let Some(field) = field else {
            reader.note(at, "there is no such parameter");
            continue;
        };
        if !given.is_first(&field) {
            reader.note(at, "must be given once");
        } else if let Some(value) = reader.field(&field, json(&field, &value), at) {
            message.set_field(&field, value);
        }
    }
}

/// The value of a parameter as JSON would have it.
fn json(field: &FieldDescriptor, value: &str) -> Json {
    match field.kind() {
        Kind::Bool if value == "true" || value == "false" => Json::Bool(value == "true"),
        Kind::Int32 | Kind::Int64 => match text::parse_integer(value) {
            Some(number) => Json::Number(number.into()),
            None => Json::Text(value.to_owned()),
        },
        _ => Json::Text(value.to_owned()),
    }
}

/// Whether the body names, at the end of a way through messages, another than the path does.
fn differs(message: &DynamicMessage, way: &[FieldDescriptor], value: &str) -> bool {
    let [first, rest @ ..] = way else { return false };
    if rest.is_empty() {
        let given = message.get_field(first);
        return given.as_str().is_some_and(|given| !given.is_empty() && !given.eq_ignore_ascii_case(value));
    }
    message.get_field(first).as_message().is_some_and(|part| differs(part, rest, value))
}

/// What is created is named beside it (`productId`); within it, where the server sets the name, only the same may stand.
fn check_names(reader: &mut Reader, message: &DynamicMessage, route: &Route) {
    for part in message.descriptor().fields() {
        let Kind::Message(of) = part.kind() else { continue };
        let names = of.fields().filter(|name| name.kind() == Kind::String && !name.is_list());
        for name in names {
            let beside = message.descriptor().get_field_by_name(name.name());
            let Some(beside) = beside.filter(|_| rule::of(&name).output_only) else { continue };
            let beside = message.get_field(&beside);
            let mut check = |within: &DynamicMessage, at: Place<'_>| {
                if differs(within, slice::from_ref(&name), beside.as_str().unwrap_or_default()) {
                    let what = format!("differs from the {} that stands beside it", name.json_name());
                    reader.note(at.field(name.json_name()), what);
                }
            };
            let is_body = matches!(&route.body, Content::Field(body) if *body == part);
            let at = Place::Top.field(part.json_name());
            match &*message.get_field(&part) {
                Value::Message(within) => check(within, if is_body { Place::Top } else { at }),
                Value::List(members) => {
                    let members = members.iter().filter_map(Value::as_message).enumerate();
                    members.for_each(|(index, within)| check(within, at.member(index)));
                }
                _ => {}
            }
        }
    }
}

/// Sets a text at the end of a way through messages.
fn set(message: &mut DynamicMessage, way: &[FieldDescriptor], value: String) {
    match way {
        [] => {}
        [field] => message.set_field(field, Value::String(value)),
        [field, rest @ ..] => {
            // A message that is not there yet is made; it stays only because something is set in it.
            if let Value::Message(part) = message.get_field_mut(field) {
                set(part, rest, value);
            }
        }
    }
}

/// An update without a mask is one of all fields that its body gives.
fn complete_mask(message: &mut DynamicMessage, given: &[FieldDescriptor]) {
    let is_mask = |field: &FieldDescriptor| {
        field.kind().as_message().is_some_and(|of| kinds::known(of) == Some(Known::FieldMask))
    };
    let Some(field) = message.descriptor().fields().find(is_mask) else { return };
    let Kind::Message(of) = field.kind() else { return };
    if !message.has_field(&field) {
        let changes = |field: &&FieldDescriptor| {
            let rule = rule::of(field);
            field.name() != ETAG && !rule.output_only && !rule.create_only
        };
        let names = given.iter().filter(changes);
        let mask = read::mask(&of, names.map(FieldDescriptor::name));
        message.set_field(&field, Value::Message(mask));
    }
}
