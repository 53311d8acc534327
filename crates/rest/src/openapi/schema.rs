//! Schemas of messages: JSON Schema 2020-12, as OpenAPI 3.1 has it.

use std::collections::BTreeMap;

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use proto::api::Rule;
use serde_json::{Map, Value as Json, json};

use super::{
    comments::Comments,
    scalar::{integer, list, long, or_null, string},
};
use crate::{
    kinds::{self, Known},
    rule,
};

/// Any duration.
const DURATION: &str = r"^-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,9})?s$";

/// What a schema is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// An answer: every field is there.
    Answer,
    /// A request for something new: what is required must be there.
    Create,
    /// A request for a change: any fields.
    Update,
}

impl Use {
    fn suffix(self) -> &'static str {
        match self {
            Self::Answer => "",
            Self::Create => "Input",
            Self::Update => "Update",
        }
    }

    /// For what is inside: an update gives parts of its resource whole.
    fn within(self) -> Self {
        if self == Self::Update { Self::Create } else { self }
    }
}

/// The schemas that are needed so far.
#[derive(Debug)]
pub(crate) struct Schemas<'a> {
    made: BTreeMap<String, Json>,
    comments: &'a Comments,
}

impl<'a> Schemas<'a> {
    pub(crate) fn new(comments: &'a Comments) -> Self {
        Self { made: BTreeMap::new(), comments }
    }

    /// A reference to the schema of a message.
    pub(crate) fn reference(&mut self, message: &MessageDescriptor, usage: Use) -> Json {
        let name = format!("{}{}", message.name(), usage.suffix());
        self.named(&name, |schemas| schemas.object(message, usage, &[]))
    }

    /// A reference to the schema of a request message without what stands in the path.
    pub(crate) fn request(&mut self, message: &MessageDescriptor, skip: &[FieldDescriptor]) -> Json {
        self.named(message.name(), |schemas| schemas.object(message, Use::Create, skip))
    }

    /// The schema of a parameter.
    pub(crate) fn parameter(&mut self, field: &FieldDescriptor, in_path: bool) -> Json {
        let mut rule = rule::of(field);
        if in_path {
            // Who sets it elsewhere, here the caller does.
            (rule.required, rule.output_only) = (true, false);
        }
        let mut schema = self.single(field, &rule, Use::Create);
        // In a URL everything is a text: a number is given as one.
        if schema["type"].is_array() {
            schema["type"] = "integer".into();
        }
        schema["description"] = self.about(field);
        schema
    }

    /// Everything, for the document.
    pub(crate) fn into_components(self) -> BTreeMap<String, Json> {
        self.made
    }

    fn named(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Json) -> Json {
        if !self.made.contains_key(name) {
            self.made.insert(name.to_owned(), Json::Null); // for what refers to itself
            let schema = make(self);
            self.made.insert(name.to_owned(), schema);
        }
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn object(&mut self, message: &MessageDescriptor, usage: Use, skip: &[FieldDescriptor]) -> Json {
        let (mut properties, mut required, mut choices) = (Map::new(), Vec::new(), Vec::new());
        for field in message.fields().filter(|field| !skip.contains(field)) {
            let (rule, name) = (rule::of(&field), field.json_name());
            let choice = field.containing_oneof().is_some();
            if usage != Use::Answer && rule.refused {
                continue;
            }
            properties.insert(name.to_owned(), self.field(&field, &rule, usage));
            let needed = match usage {
                Use::Answer => !choice,
                Use::Create => rule.required && !choice,
                Use::Update => false,
            };
            if needed {
                required.push(name.to_owned());
            }
            if choice {
                choices.push(json!({ "required": [name] }));
            }
        }
        required.sort();
        let mut schema = json!({
            "type": "object",
            "description": self.comments.text(message.parent_file().name(), message.path()),
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        if !choices.is_empty() {
            schema["oneOf"] = choices.into();
        }
        schema
    }

    fn field(&mut self, field: &FieldDescriptor, rule: &Rule, usage: Use) -> Json {
        let single = self.single(field, rule, usage);
        let mut schema = if field.is_list() { list(&single, rule, usage) } else { single };
        let is_message = matches!(field.kind(), Kind::Message(_)) && !field.is_list();
        let always = if usage == Use::Answer { rule.always_set } else { rule.required };
        if is_message && !always && field.containing_oneof().is_none() {
            schema = or_null(schema);
        }
        let mut about = self.about(field);
        let ignored = rule.output_only || (usage == Use::Update && rule.create_only);
        if usage != Use::Answer && ignored {
            about = format!("Ignored here. {}", about.as_str().unwrap_or_default()).into();
        }
        schema["description"] = about;
        schema
    }

    fn about(&self, field: &FieldDescriptor) -> Json {
        self.comments.text(field.parent_file().name(), field.path()).into()
    }

    fn single(&mut self, field: &FieldDescriptor, rule: &Rule, usage: Use) -> Json {
        let input = usage != Use::Answer && !rule.output_only;
        match field.kind() {
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Int32 => integer(rule, input, i64::from(i32::MIN), i64::from(i32::MAX)),
            Kind::Int64 if usage == Use::Answer && !rule.large => {
                json!({ "type": "integer", "format": "int64" })
            }
            Kind::Int64 => long(rule, input),
            Kind::Enum(of) => self.enumeration(&of),
            Kind::Message(of) => match kinds::known(&of) {
                None => self.reference(&of, usage.within()),
                Some(Known::Timestamp) => json!({ "type": "string", "format": "date-time" }),
                Some(Known::Duration | Known::FieldMask) if input && !rule.pattern.is_empty() => {
                    json!({ "type": "string", "pattern": rule.pattern })
                }
                Some(Known::Duration) => json!({ "type": "string", "pattern": DURATION }),
                Some(Known::FieldMask) => json!({ "type": "string" }),
            },
            // The name of what is created stands beside it.
            _ if usage == Use::Create && rule.output_only && rule.uuid => {
                json!({ "type": "string", "maxLength": 0 })
            }
            // What is ignored may be anything.
            _ if usage != Use::Answer && rule.output_only => json!({ "type": "string" }),
            _ => string(rule, input),
        }
    }

    /// A reference to the schema of an enum.
    fn enumeration(&mut self, of: &EnumDescriptor) -> Json {
        let comments = self.comments;
        self.named(of.name(), |_| {
            let file = of.parent_file();
            let lines = of
                .values()
                .map(|value| format!("- `{}`: {}", value.name(), comments.text(file.name(), value.path())));
            let about = comments.text(file.name(), of.path());
            let description = format!("{about}\n\n{}", lines.collect::<Vec<_>>().join("\n"));
            let names: Vec<_> = of.values().map(|value| value.name().to_owned()).collect();
            json!({ "type": "string", "enum": names, "description": description })
        })
    }

    /// The schema of all errors.
    pub(crate) fn add_error(&mut self) {
        let text = |about: &str| json!({ "type": "string", "description": about });
        let object = |properties: Json, required: &[&str]| json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false });
        let texts = json!({ "type": "object", "additionalProperties": { "type": "string" },
            "description": "What the reason is about: ids, states, numbers." });
        let reason = object(
            json!({ "reason": text("Why, in a word that does not change."), "domain": text("Whose word it is."), "metadata": texts }),
            &["reason", "domain", "metadata"],
        );
        let field = object(
            json!({ "field": text("Its place in the request: `lines[0].product.quantity`."), "description": text("What it must be.") }),
            &["field", "description"],
        );
        let fields = json!({ "type": "array", "items": field, "description": "The fields that are bad." });
        let fields = object(json!({ "fieldViolations": fields }), &["fieldViolations"]);
        let delay = object(json!({ "retryDelay": text("When to come back: `0.100s`.") }), &["retryDelay"]);
        let details = json!({ "type": "array", "items": { "oneOf": [reason, fields, delay] },
            "description": "The reason of a refusal, the bad fields, when to come back." });
        let code = json!({ "type": "integer", "description": "The status of HTTP." });
        let properties = json!({ "code": code, "status": text("The name of gRPC's code."),
            "message": text("For people."), "details": details });
        self.made.insert("Error".to_owned(), object(properties, &["code", "status", "message", "details"]));
    }
}
