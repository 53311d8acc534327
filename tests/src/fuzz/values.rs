//! Values for single fields: boundaries, absurdities, and what was seen in answers.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use prost::bytes::Bytes;
use prost_reflect::{DynamicMessage, Kind, Value};
use uuid::Uuid;

use super::messages::Mood;
use crate::Dice;

/// The most values that are remembered for one name.
const REMEMBERED: usize = 48;
/// The length of the longest texts.
const HUGE: usize = 1 << 20;

/// What a service has said: the texts of its answers by the names of their fields, so that requests hit what is there.
#[derive(Debug, Default)]
pub struct Lore(Mutex<HashMap<String, Vec<String>>>);

impl Lore {
    /// Remembers the texts of an answer.
    pub fn learn(&self, answer: &DynamicMessage, dice: &mut Dice) {
        for (field, value) in answer.fields() {
            self.learn_value(field.name(), value, dice);
        }
    }

    /// Remembers one text.
    pub fn note(&self, name: &str, text: &str, dice: &mut Dice) {
        // Lists and their requests do not call a token the same.
        let name = name.strip_prefix("next_").unwrap_or(name);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = known.entry(name.to_owned()).or_default();
        match known.len() {
            _ if text.is_empty() || text.len() > 256 => {}
            REMEMBERED.. => text.clone_into(&mut known[dice.below(REMEMBERED)]),
            _ => known.push(text.to_owned()),
        }
    }

    /// Something that was said in a field of this name.
    pub fn recall(&self, name: &str, dice: &mut Dice) -> Option<String> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if name == "labels" { "label" } else { name };
        known.get(name).map(|texts| dice.pick(texts).clone())
    }

    fn learn_value(&self, name: &str, value: &Value, dice: &mut Dice) {
        match value {
            Value::String(text) => self.note(name, text, dice),
            Value::Message(message) => self.learn(message, dice),
            // A few of many: pages are long.
            Value::List(values) => {
                values.iter().take(8).for_each(|value| self.learn_value(name, value, dice));
            }
            _ => {}
        }
    }
}

/// A value of a kind other than message, for a field of this name.
pub(super) fn scalar(kind: &Kind, name: &str, mood: Mood, lore: &Lore, dice: &mut Dice) -> Value {
    let is_odd = dice.chance(mood.odd);
    match kind {
        Kind::Bool => Value::Bool(dice.chance(500)),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(narrow(integer(is_odd, dice))),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(integer(is_odd, dice)),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(narrow(integer(is_odd, dice)).cast_unsigned()),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(integer(is_odd, dice).cast_unsigned()),
        Kind::Float => Value::F32(*dice.pick(&[0.0, -0.0, f32::NAN, f32::INFINITY, f32::MIN])),
        Kind::Double => Value::F64(*dice.pick(&[0.0, -0.0, f64::NAN, f64::NEG_INFINITY, f64::MAX])),
        Kind::Bytes => Value::Bytes(Bytes::from({
            let len = dice.below(64);
            dice.bytes(len)
        })),
        Kind::Enum(_) if is_odd => Value::EnumNumber(narrow(integer(is_odd, dice))),
        Kind::Enum(kind) => {
            let values: Vec<_> = kind.values().map(|value| value.number()).collect();
            Value::EnumNumber(*dice.pick(&values))
        }
        Kind::String | Kind::Message(_) => Value::String(text(name, is_odd, lore, dice)),
    }
}

fn narrow(wide: i64) -> i32 {
    i32::try_from(wide).unwrap_or(if wide < 0 { i32::MIN } else { i32::MAX })
}

fn integer(is_odd: bool, dice: &mut Dice) -> i64 {
    const EDGES: [i64; 14] = [
        0,
        -1,
        i64::MIN,
        i64::MAX,
        i32::MIN as i64,
        i32::MAX as i64,
        i32::MAX as i64 + 1,
        u32::MAX as i64,
        999,
        1_000,
        1_001,
        1_000_000,
        1_000_001,
        i64::MAX / 100,
    ];
    match dice.below(10) {
        _ if !is_odd => i64::try_from(1 + dice.below(12)).unwrap_or(1),
        0..8 => *dice.pick(&EDGES),
        _ => dice.bits().cast_signed(),
    }
}

/// A text for a field of this name.
fn text(name: &str, is_odd: bool, lore: &Lore, dice: &mut Dice) -> String {
    if !is_odd {
        // Ids that were used before, new ones, and none, which the service chooses then.
        let known = if dice.chance(600) { lore.recall(name, dice) } else { None };
        let is_id = name.ends_with("_id") && name != "customer_id";
        return known
            .unwrap_or_else(|| if is_id && dice.chance(300) { String::new() } else { fitting(name, dice) });
    }
    // What belongs elsewhere: the token of another list, the id of another thing.
    let names = ["page_token", "product_id", "booking_id", "seat_map_id", "label", "etag", "currency_code"];
    if dice.chance(300) {
        let name = dice.word(&names);
        if let Some(known) = lore.recall(name, dice) {
            return known;
        }
    }
    odd(dice)
}

/// What a careful client might send.
fn fitting(name: &str, dice: &mut Dice) -> String {
    let number = dice.below(40);
    match name {
        "customer_id" => format!("customer {number}"),
        _ if name.ends_with("_id") => Uuid::from_u64_pair(dice.bits(), dice.bits()).to_string(),
        "currency_code" => {
            (*dice.pick(&["EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "EUR", "USD", "JPY"])).to_owned()
        }
        "label" | "labels" => format!("{number}{}", dice.pick(&["A", "B"])),
        "paths" => (*dice.pick(&["display_name", "description", "price", "hold_ttl", "sku"])).to_owned(),
        "service" => (*dice.pick(&["", "holdfast.catalog.v1.CatalogService"])).to_owned(),
        "etag" | "page_token" => String::new(),
        _ => format!("{name} {number}"),
    }
}

/// What nobody should send.
fn odd(dice: &mut Dice) -> String {
    const ODDITIES: [&str; 22] = [
        "",
        "\0",
        "a\0b",
        " ",
        "\n",
        "\u{202e}thgir ot tfel",
        "e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{200d}\u{1f466}",
        "\u{feff}",
        "\u{10ffff}",
        "'; drop table bookings; --",
        "{\"a\": [1, 2]}",
        "{1,2}",
        "NULL",
        "NaN",
        "-0",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "018f3a5e000070008000000000000000",
        "urn:uuid:018f3a5e-0000-7000-8000-000000000000",
        "018f3a5e-0000-7000-8000-00000000000g",
        "AAAAAAAAAAAAAAAAAAAA",
    ];
    match dice.below(100) {
        0..70 => (*dice.pick(&ODDITIES)).to_owned(),
        70..90 => "\u{e4}".repeat(dice.below(1_200)),
        90..99 => {
            let len = dice.below(60);
            String::from_utf8_lossy(&dice.bytes(len)).into_owned()
        }
        _ => (*dice.pick(&["x", "\0", "\u{1f3ab}"])).repeat(if dice.chance(100) { HUGE } else { 10_000 }),
    }
}
