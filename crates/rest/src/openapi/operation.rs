//! One operation: an RPC as HTTP has it.

use prost_reflect::{FieldDescriptor, Kind, ServiceDescriptor};
use serde_json::{Value as Json, json};

use super::{
    comments::{self, Comments},
    errors, example,
    schema::{Schemas, Use},
};
use crate::{
    route::{Content, Route},
    rule,
};

/// The path as OpenAPI has it: `/v1/products/{productId}`.
pub(crate) fn path(route: &Route) -> String {
    // The last name alone, so that all methods of a path name it alike.
    route.template.renamed(|field| crate::text::camel(field.rsplit('.').next().unwrap_or(field)))
}

/// What groups the operations of a service.
pub(crate) fn tag(service: &ServiceDescriptor) -> String {
    service.name().trim_end_matches("Service").to_owned()
}

/// The operation of a route.
pub(crate) fn describe(route: &Route, bearer: bool, comments: &Comments, schemas: &mut Schemas<'_>) -> Json {
    let rpc = &route.rpc;
    let text = comments.text(rpc.parent_file().name(), rpc.path());
    let mut operation = json!({
        "operationId": rpc.name(),
        "tags": [tag(rpc.parent_service())],
        "summary": comments::summary(&text),
        "description": text,
        "parameters": parameters(route, schemas),
        "responses": responses(route, bearer, schemas),
    });
    if let Some(body) = body(route, schemas) {
        operation["requestBody"] = body;
    }
    operation
}

fn parameters(route: &Route, schemas: &mut Schemas<'_>) -> Vec<Json> {
    let of_path = route.variables.iter().filter_map(|way| way.last()).map(|field| ("path", field.clone()));
    let of_query = route.parameters().into_iter().map(|field| ("query", field));
    let all: Vec<_> = of_path.chain(of_query).collect();
    all.into_iter().map(|(place, field)| parameter(place, &field, schemas)).collect()
}

fn parameter(place: &str, field: &FieldDescriptor, schemas: &mut Schemas<'_>) -> Json {
    let rule = rule::of(field);
    let in_path = place == "path";
    let mut schema = schemas.parameter(field, in_path);
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut parameter = json!({
        "name": field.json_name(),
        "in": place,
        "required": in_path || rule.required,
        "schema": schema,
    });
    if let Some(description) = description {
        parameter["description"] = description;
    }
    parameter["example"] = example::of_field(field);
    parameter
}

fn body(route: &Route, schemas: &mut Schemas<'_>) -> Option<Json> {
    let update = route.method == http::Method::PATCH;
    let (schema, example, required) = match &route.body {
        Content::Nothing => return None,
        Content::Message => {
            let input = route.rpc.input();
            let skip: Vec<_> = input.fields().filter(|field| route.is_in_path(field)).collect();
            let required = input.fields().any(|field| !skip.contains(&field) && rule::of(&field).required);
            (schemas.request(&input, &skip), example::of_request(&input, &skip), required)
        }
        Content::Field(field) => {
            let Kind::Message(of) = field.kind() else { return None };
            let schema = schemas.reference(&of, if update { Use::Update } else { Use::Create });
            (schema, example::of_request(&of, &[]), true)
        }
    };
    let content = json!({ "application/json": { "schema": schema, "example": example } });
    Some(json!({ "required": required, "content": content }))
}

fn responses(route: &Route, bearer: bool, schemas: &mut Schemas<'_>) -> Json {
    let output = match route.answer.as_ref().map(FieldDescriptor::kind) {
        Some(Kind::Message(of)) => of,
        _ => route.rpc.output(),
    };
    let schema = schemas.reference(&output, Use::Answer);
    let content = json!({ "application/json": { "schema": schema, "example": example::of_answer(&output) } });
    let mut responses = json!({ "200": { "description": "Done, or done before.", "content": content } });
    for (status, name) in errors::statuses(bearer) {
        responses[status.to_string()] = json!({ "$ref": format!("#/components/responses/{name}") });
    }
    responses
}
