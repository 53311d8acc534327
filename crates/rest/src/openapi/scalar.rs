//! Schemas of texts and numbers, with the limits that the rules of their fields set; and of lists of them.

use proto::api::Rule;
use serde_json::{Value as Json, json};

use super::schema::Use;
use crate::read::MAX_SAFE_INTEGER;

/// A UUID, or nothing.
const UUID_OR_EMPTY: &str =
    "^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12})?$";

/// A text.
pub(super) fn string(rule: &Rule, input: bool) -> Json {
    let mut schema = json!({ "type": "string" });
    if rule.uuid && (rule.required || !input) {
        schema["format"] = "uuid".into();
    } else if rule.uuid {
        schema["pattern"] = UUID_OR_EMPTY.into();
    }
    if !input {
        return schema;
    }
    if rule.min_length > 0 {
        schema["minLength"] = rule.min_length.into();
    }
    if rule.max_length > 0 {
        schema["maxLength"] = rule.max_length.into();
    }
    if !rule.pattern.is_empty() {
        schema["pattern"] = rule.pattern.as_str().into();
    }
    schema
}

/// A whole number of 32 bits.
pub(super) fn integer(rule: &Rule, input: bool, least: i64, most: i64) -> Json {
    let (least, most) =
        if input { (rule.minimum.unwrap_or(least), rule.maximum.unwrap_or(most)) } else { (least, most) };
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

/// A whole number of 64 bits: a number, or a text of so many digits as are in any case within the limits.
pub(super) fn long(rule: &Rule, input: bool) -> Json {
    let (least, most) = if input {
        (rule.minimum.unwrap_or(-MAX_SAFE_INTEGER), rule.maximum.unwrap_or(MAX_SAFE_INTEGER))
    } else {
        (i64::MIN, i64::MAX)
    };
    let digits = if input { most.unsigned_abs().to_string().len() - 2 } else { 18 };
    let sign = if least < 0 { "-?" } else { "" };
    let zero_is_good = least <= 0 && !(input && rule.required);
    let zero = if zero_is_good { "0|" } else { "" };
    let mut schema = json!({
        "type": ["integer", "string"],
        "format": "int64",
        "pattern": format!("^({zero}{sign}[1-9][0-9]{{0,{digits}}})$"),
        "minimum": least,
        "maximum": most,
    });
    if !zero_is_good && least <= 0 {
        schema["not"] = json!({ "const": 0 });
    }
    schema
}

/// A list of what a schema describes.
pub(super) fn list(of: &Json, rule: &Rule, usage: Use) -> Json {
    let mut schema = json!({ "type": "array", "items": of });
    if usage == Use::Answer {
        return schema;
    }
    if rule.min_items > 0 {
        schema["minItems"] = rule.min_items.into();
    }
    if rule.max_items > 0 {
        schema["maxItems"] = rule.max_items.into();
    }
    if rule.unique_items {
        schema["uniqueItems"] = true.into();
    }
    schema
}

/// The same, or null.
pub(super) fn or_null(mut schema: Json) -> Json {
    match schema.get("type").and_then(Json::as_str) {
        Some(kind) => {
            schema["type"] = json!([kind, "null"]);
            schema
        }
        None => json!({ "anyOf": [schema, { "type": "null" }] }),
    }
}
