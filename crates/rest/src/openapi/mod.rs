//! The description of it all: OpenAPI 3.1, made of the descriptors, their comments and the rules of their fields.
//! <https://spec.openapis.org/oas/v3.1.1>

mod comments;
mod errors;
mod example;
mod operation;
mod scalar;
mod schema;

use std::collections::BTreeMap;

use anyhow::Context as _;
use axum::body::Bytes;
use prost_reflect::ServiceDescriptor;
use serde_json::{Map, Value as Json, json};

use crate::route::Route;
use comments::Comments;
use schema::Schemas;

/// The document for these services.
pub(crate) fn document(
    title: &str,
    bearer: bool,
    services: &[ServiceDescriptor],
    routes: &[Route],
    more: Vec<(String, Json)>,
) -> anyhow::Result<Bytes> {
    let comments = Comments::of(services);
    let mut schemas = Schemas::new(&comments);
    let mut paths: BTreeMap<String, Map<String, Json>> = BTreeMap::new();
    for route in routes {
        let method = route.method.as_str().to_ascii_lowercase();
        let operation = operation::describe(route, bearer, &comments, &mut schemas);
        paths.entry(operation::path(route)).or_default().insert(method, operation);
    }
    for (path, operations) in more {
        let Json::Object(operations) = operations else { continue };
        paths.entry(path).or_default().extend(operations);
    }
    schemas.add_error();
    let tags = services.iter().map(|service| {
        json!({ "name": operation::tag(service), "description": comments.text(service.parent_file().name(), service.path()) })
    });
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/", "description": "Where this description comes from" }],
        "tags": tags.collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas.into_components(),
            "responses": errors::responses(services, bearer, &comments),
        },
    });
    if bearer {
        document["security"] = json!([{ "bearer": [] }]);
        document["components"]["securitySchemes"]["bearer"] = json!({
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token of the shop's issuer. Its role (customer, operator, service) says which calls it may make.",
        });
    }
    Ok(Bytes::from(serde_json::to_vec(&document).context("write the OpenAPI document")?))
}

/// What is true of all calls.
const ABOUT: &str = "\
The same API as over gRPC, as JSON. Names are in `lowerCamelCase` (those of the protos are understood as well), and a field \
that is not known is refused. In answers every field is there, `null` where nothing is set. Whole numbers of 64 bits are \
numbers, or texts beyond what JavaScript has exactly; both are understood. Durations are seconds such as `\"1.5s\"`.

Every call may be repeated blindly: ids chosen by the caller are the idempotency keys. An error is \
`{code, status, message, details}`: `code` is HTTP's, `status` gRPC's, and `details` has the `reason` of a refusal, the \
`fieldViolations` of bad input, or the `retryDelay` of what passes. The header `grpc-timeout` says how long the caller \
waits (`2S`; 10 seconds at most), `traceparent` which trace the call is part of.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route;

    fn documents() -> Vec<Json> {
        let pool = route::pool().unwrap();
        let names = ["holdfast.catalog.v1.CatalogService", "holdfast.reservation.v1.BookingService"];
        let document = |name: &str| {
            let services = route::services(&pool, &[name]).unwrap();
            let routes = route::routes(&services).unwrap();
            let document = document("Test", true, &services, &routes, Vec::new()).unwrap();
            serde_json::from_slice(&document).unwrap()
        };
        names.map(document).into()
    }

    /// Every object of a document, with what leads to it.
    fn walk<'a>(at: &str, json: &'a Json, visit: &mut impl FnMut(&str, &'a Map<String, Json>)) {
        match json {
            Json::Object(object) => {
                visit(at, object);
                object.iter().for_each(|(name, json)| walk(&format!("{at}/{name}"), json, visit));
            }
            Json::Array(members) => {
                members.iter().enumerate().for_each(|(i, json)| walk(&format!("{at}/{i}"), json, visit));
            }
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        for document in documents() {
            walk("", &document, &mut |at, object| {
                if let Some(Json::String(reference)) = object.get("$ref") {
                    let target = document.pointer(reference.trim_start_matches('#'));
                    assert!(target.is_some(), "{at}: {reference}");
                }
            });
        }
    }

    #[test]
    fn every_operation_and_every_field_says_what_it_is_for() {
        for document in documents() {
            for (path, methods) in document["paths"].as_object().unwrap() {
                for (method, operation) in methods.as_object().unwrap() {
                    for part in ["summary", "description", "operationId"] {
                        assert!(
                            operation[part].as_str().is_some_and(|text| !text.is_empty()),
                            "{method} {path}: {part}"
                        );
                    }
                    for parameter in operation["parameters"].as_array().unwrap() {
                        let example = parameter.get("example");
                        assert!(
                            example.is_some_and(|example| !example.is_null()),
                            "{method} {path}: {parameter}"
                        );
                        let is_id = parameter["schema"]["format"] == "uuid";
                        assert!(is_id || parameter["in"] == "query", "{method} {path}: {parameter}");
                    }
                    assert!(
                        operation["responses"]["200"]["content"]["application/json"]["example"].is_object()
                    );
                }
            }
            walk("", &document["components"]["schemas"], &mut |at, object| {
                if at.ends_with("/properties") {
                    for (name, field) in object {
                        assert!(
                            field["description"].as_str().is_some_and(|text| !text.is_empty()),
                            "{at}/{name}"
                        );
                    }
                }
            });
        }
    }

    #[test]
    fn limits_come_from_the_rules_of_the_fields() {
        let [catalog, bookings] = documents().try_into().unwrap();
        let product = &catalog["components"]["schemas"]["ProductInput"];
        assert_eq!(product["properties"]["sku"]["maxLength"], 64);
        assert_eq!(product["required"], json!(["displayName", "price", "sku"]));
        assert_eq!(product["additionalProperties"], false);
        let create = &bookings["components"]["schemas"]["CreateBookingRequest"];
        assert_eq!(create["properties"]["lines"]["maxItems"], 100);
        let line = &bookings["components"]["schemas"]["LineInput"];
        assert!(line["properties"].get("unitPrice").is_none());
        assert_eq!(line["oneOf"], json!([{ "required": ["product"] }, { "required": ["seat"] }]));
    }

    #[test]
    fn the_bearer_token_and_what_comes_without_it_are_named_where_callers_are_asked_who_they_are() {
        let pool = route::pool().unwrap();
        let services = route::services(&pool, &["holdfast.reservation.v1.BookingService"]).unwrap();
        let routes = route::routes(&services).unwrap();
        for bearer in [true, false] {
            let document: Json =
                serde_json::from_slice(&document("Test", bearer, &services, &routes, Vec::new()).unwrap())
                    .unwrap();
            assert_eq!(document["security"].is_array(), bearer);
            assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer", bearer);
            assert_eq!(document["components"]["responses"]["Unauthorized"].is_object(), bearer);
            let get = &document["paths"]["/v1/bookings/{bookingId}"]["get"]["responses"];
            assert_eq!((get["401"].is_object(), get["403"].is_object()), (bearer, true));
            let forbidden = document["components"]["responses"]["Forbidden"]["description"].as_str().unwrap();
            assert!(forbidden.contains("ROLE_NOT_ALLOWED"), "{forbidden}");
        }
    }

    #[test]
    fn refusals_are_listed_with_their_reasons() {
        let [_, bookings] = documents().try_into().unwrap();
        let conflict = bookings["components"]["responses"]["Conflict"]["description"].as_str().unwrap();
        for reason in ["SEAT_TAKEN", "INSUFFICIENT_STOCK", "HOLD_EXPIRED", "ID_REUSED"] {
            assert!(conflict.contains(reason), "{reason}: {conflict}");
        }
    }
}
