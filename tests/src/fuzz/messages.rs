//! Messages of any type that are well formed, if not sensible.

use prost_reflect::{
    DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, OneofDescriptor, ReflectMessage as _,
    Value,
};

use super::{Lore, values};
use crate::Dice;

/// How deep messages go; the types of the API end earlier by themselves.
const DEPTH: usize = 12;

/// How a message is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mood {
    /// How many of a thousand fields are set.
    filled: u32,
    /// How many of a thousand messages within messages are set: some must not be, where others must.
    parts: u32,
    /// How many of a thousand values are such as nobody should send.
    pub(super) odd: u32,
}

/// Careful, careless and wild clients; most are careful, or requests would not get far.
const MOODS: [Mood; 9] = [
    mood(1000, 1000, 0),
    mood(1000, 0, 0),
    mood(1000, 500, 0),
    mood(1000, 1000, 20),
    mood(1000, 0, 40),
    mood(1000, 700, 120),
    mood(900, 700, 400),
    mood(500, 500, 100),
    mood(200, 500, 700),
];

const fn mood(filled: u32, parts: u32, odd: u32) -> Mood {
    Mood { filled, parts, odd }
}

/// A message of this type.
#[must_use]
pub fn message(of: &MessageDescriptor, lore: &Lore, dice: &mut Dice) -> DynamicMessage {
    let mood = *dice.pick(&MOODS);
    let mut message = fill(of, mood, DEPTH, lore, dice);
    spare(&mut message, dice);
    message
}

fn fill(of: &MessageDescriptor, mood: Mood, depth: usize, lore: &Lore, dice: &mut Dice) -> DynamicMessage {
    let mut message = DynamicMessage::new(of.clone());
    if well_known(&mut message, mood, dice) {
        return message;
    }
    let alone = of.fields().filter(|field| field.containing_oneof().is_none_or(|one| one.is_synthetic()));
    let chosen = of.oneofs().filter(|one| !one.is_synthetic()).map(|one| choose(&one, dice));
    for field in alone.chain(chosen).collect::<Vec<_>>() {
        let is_part =
            field.kind().as_message().is_some() && !field.is_list() && field.containing_oneof().is_none();
        let filled = if is_part { mood.parts } else { mood.filled };
        if dice.chance(filled) && depth > 0 {
            message.set_field(&field, value(&field, mood, depth, lore, dice));
        }
    }
    message
}

fn choose(one: &OneofDescriptor, dice: &mut Dice) -> FieldDescriptor {
    let fields: Vec<_> = one.fields().collect();
    dice.pick(&fields).clone()
}

fn value(field: &FieldDescriptor, mood: Mood, depth: usize, lore: &Lore, dice: &mut Dice) -> Value {
    let name = field.name();
    let single = |dice: &mut Dice| match field.kind() {
        Kind::Message(of) => Value::Message(fill(&of, mood, depth - 1, lore, dice)),
        kind => values::scalar(&kind, name, mood, lore, dice),
    };
    if field.is_map() {
        let entries = (0..dice.below(4)).map(|n| (MapKey::String(format!("key {n}")), single(dice)));
        // Maps of requests, should there ever be any: keys are texts.
        let entries = entries.filter_map(|(key, value)| {
            Some((key, value.as_message()?.get_field_by_name("value")?.into_owned()))
        });
        return Value::Map(entries.collect());
    }
    if !field.is_list() {
        return single(dice);
    }
    let count = match dice.below(1000) {
        _ if !dice.chance(mood.odd) => 1 + dice.below(3),
        0..300 => 0,
        300..700 => 2 + dice.below(8),
        700..980 => 90 + dice.below(40),
        // Thousands, each the same: what it takes to make them is not what is tested.
        980..996 => return Value::List(vec![single(dice); 2_000]),
        _ => return Value::List(vec![single(dice); 12_000]),
    };
    Value::List((0..count).map(|_| single(dice)).collect())
}

/// Times and durations: their fields mean something together only.
fn well_known(message: &mut DynamicMessage, mood: Mood, dice: &mut Dice) -> bool {
    const SECONDS: [i64; 10] = [
        -1,
        -315_576_000_001,
        315_576_000_000,
        315_576_000_001,
        i64::MIN,
        i64::MAX,
        253_402_300_800,
        -62_135_596_801,
        86_400,
        86_401,
    ];
    const NANOS: [i32; 7] = [-1, 1, 999_999_999, 1_000_000_000, i32::MIN, i32::MAX, 500_000];
    if !matches!(message.descriptor().full_name(), "google.protobuf.Duration" | "google.protobuf.Timestamp") {
        return false;
    }
    let seconds =
        if dice.chance(mood.odd) { *dice.pick(&SECONDS) } else { i64::try_from(dice.below(90)).unwrap_or(0) };
    let nanos =
        if dice.chance(mood.odd) { *dice.pick(&NANOS) } else { *dice.pick(&[0, 100_000_000, 500_000_000]) };
    message.set_field_by_name("seconds", Value::I64(seconds));
    message.set_field_by_name("nanos", Value::I32(nanos));
    true
}

/// The internal API trusts its callers: who tells the catalog to release a hold whose booking is HELD breaks the rules,
/// and the catalog with them. So keys that are told a verdict, or get units, are of nobody's booking. Whether they are
/// honoured is not what is tested.
fn spare(message: &mut DynamicMessage, dice: &mut Dice) {
    let descriptor = message.descriptor();
    let trusting = ["SettleHold", "PlaceHold", "RestoreHold"];
    if descriptor.package_name() == "holdfast.catalog.v1" && trusting.contains(&descriptor.name()) {
        let well_formed = |key: &mut DynamicMessage| {
            key.get_field_by_name("booking_id").is_some_and(|id| id.as_str().is_some_and(|id| id.len() >= 32))
        };
        if let Some(Value::Message(key)) = message.get_field_by_name_mut("key")
            && well_formed(key)
        {
            let nobody = uuid::Uuid::from_u64_pair(dice.bits(), dice.bits()).to_string();
            key.set_field_by_name("booking_id", Value::String(nobody));
            key.set_field_by_name("attempt", Value::I32(1));
        }
        return;
    }
    for (_, value) in message.fields_mut() {
        match value {
            Value::Message(inner) => spare(inner, dice),
            Value::List(values) => {
                values.iter_mut().filter_map(Value::as_message_mut).for_each(|inner| spare(inner, dice));
            }
            _ => {}
        }
    }
}

/// A message for people to read: its fields by name, long texts and lists cut short.
#[must_use]
pub fn text(message: &DynamicMessage) -> String {
    let fields = message.fields().map(|(field, value)| format!("{}: {}", field.name(), text_of(value)));
    format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Message(message) => text(message),
        Value::List(values) => {
            let shown: Vec<_> = values.iter().take(3).map(text_of).collect();
            format!("{} x [{}]", values.len(), shown.join(", "))
        }
        Value::String(text) if text.chars().count() > 80 => {
            format!("{:?}... of {} bytes", text.chars().take(40).collect::<String>(), text.len())
        }
        other => format!("{other:?}"),
    }
}
