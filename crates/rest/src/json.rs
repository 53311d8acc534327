//! JSON as it was sent: with every name that an object gives, also where it gives one twice.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;

/// A value. The depth to which it nests is limited by `serde_json`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Json>),
    /// In the order in which they stand there.
    Object(Fields),
}

/// The fields of an object, with their names.
pub(crate) type Fields = Vec<(String, Json)>;

impl Json {
    /// A text's content.
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Reading)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        Ok(Number::from_f64(value).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut given: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = given.next_element()? {
            members.push(member);
        }
        Ok(Json::List(members))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut given: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = given.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Object(fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Json, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn every_field_is_there_in_its_order() {
        let text = r#" { "b": [null, true, -7, 1.5, "x"], "a": {}, "b": 18446744073709551615 } "#;
        let list = vec![
            Json::Null,
            Json::Bool(true),
            Json::Number((-7).into()),
            Json::Number(Number::from_f64(1.5).unwrap()),
            Json::Text("x".to_owned()),
        ];
        let fields =
            [("b", Json::List(list)), ("a", Json::Object(vec![])), ("b", Json::Number(u64::MAX.into()))];
        assert_eq!(read(text), Ok(Json::Object(fields.map(|(name, json)| (name.to_owned(), json)).into())));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "[1,]", "{\"a\":1e999}", "nul", "{} {}", "\u{0}"] {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(read(&"[".repeat(200)).is_err_and(|error| error.contains("recursion limit")));
    }
}
