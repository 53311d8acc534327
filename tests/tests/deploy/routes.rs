//! What comes in from outside: the public services and their REST paths, and nothing else.

use std::fs;

use prost_reflect::DescriptorPool;
use proto::DESCRIPTORS;
use serde_json::Value;

use crate::documents::{Documents, file, list, text};

/// The public services, and who has them.
const PUBLIC: [(&str, &str); 2] = [
    ("holdfast.catalog.v1.CatalogService", "catalog"),
    ("holdfast.reservation.v1.BookingService", "reservation"),
];

/// Where a request goes over gRPC: the backend, if any.
fn over_grpc<'a>(documents: &'a Documents, service: &str) -> Vec<&'a str> {
    let rules = documents.of_kind("GRPCRoute").flat_map(|route| list(&route["spec"]["rules"]));
    let taken = rules.filter(|rule| {
        // A rule without a match would take everything.
        list(&rule["matches"]).is_empty()
            || list(&rule["matches"]).iter().any(|one| {
                let method = &one["method"];
                method.is_null()
                    || method["type"] != "Exact"
                    || method["service"].is_null()
                    || method["service"] == service
            })
    });
    taken.flat_map(|rule| list(&rule["backendRefs"])).map(|backend| backend_at(backend, 50_051)).collect()
}

/// The same over HTTP.
pub(crate) fn over_http<'a>(documents: &'a Documents, path: &str) -> Vec<&'a str> {
    let rules = documents.of_kind("HTTPRoute").flat_map(|route| list(&route["spec"]["rules"]));
    let taken = rules.filter(|rule| {
        list(&rule["matches"]).is_empty()
            || list(&rule["matches"]).iter().any(|one| {
                let (kind, prefix) =
                    (text(&one["path"]["type"]), text(&one["path"]["value"]).trim_end_matches('/'));
                let rest = path.strip_prefix(prefix);
                match kind {
                    "PathPrefix" => rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
                    "Exact" => rest == Some(""),
                    _ => true,
                }
            })
    });
    taken.flat_map(|rule| list(&rule["backendRefs"])).map(|backend| backend_at(backend, 8_080)).collect()
}

fn backend_at(backend: &Value, port: u16) -> &str {
    assert_eq!(backend["port"], port);
    text(&backend["name"])
}

/// Every path of REST, with values for its variables, and whose it is.
fn rest_paths() -> Vec<(String, &'static str)> {
    let mut paths = Vec::new();
    for (package, owner) in [("catalog", "catalog"), ("reservation", "reservation")] {
        let folder = file(&format!("proto/holdfast/{package}/v1"));
        for entry in fs::read_dir(folder).expect("the protos are there") {
            let proto = fs::read_to_string(entry.expect("a file").path()).expect("a text");
            for (_, rest) in proto.match_indices(": \"/v1/").map(|(at, _)| proto.split_at(at + 3)) {
                let template = rest.split('"').next().unwrap_or_default();
                let pieces = template.split(['{', '}']).enumerate();
                paths
                    .push((pieces.map(|(at, piece)| if at % 2 == 0 { piece } else { "x" }).collect(), owner));
            }
        }
    }
    paths
}

#[test]
fn grpc_reaches_the_public_services_and_no_others() {
    let documents = Documents::of("production");
    let pool = DescriptorPool::decode(DESCRIPTORS).expect("the descriptors can be read");
    let all = pool.services().map(|service| service.full_name().to_owned());
    let all: Vec<_> = all
        .chain(["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"].map(str::to_owned))
        .collect();
    assert!(all.len() >= 8, "{all:?}");
    for service in all {
        let owner: Vec<_> =
            PUBLIC.iter().filter(|(public, _)| *public == service).map(|(_, owner)| *owner).collect();
        assert_eq!(over_grpc(&documents, &service), owner, "{service}");
        // gRPC-Web, by the HTTP port.
        assert_eq!(over_http(&documents, &format!("/{service}/Method")), owner, "{service}");
    }
}

#[test]
fn rest_reaches_every_path_of_the_api_and_nothing_of_the_operators() {
    let documents = Documents::of("production");
    let paths = rest_paths();
    assert!(paths.len() >= 20, "{paths:?}");
    for (path, owner) in paths {
        assert_eq!(over_http(&documents, &path), [owner], "{path}");
    }
    assert_eq!(over_http(&documents, "/v1/payments/webhook"), ["reservation"]);
    for path in ["/", "/metrics", "/livez", "/readyz", "/v1", "/v1/productsx", "/v2/bookings"] {
        assert_eq!(over_http(&documents, path), [""; 0], "{path}");
    }
}

/// The page that shows both APIs, its files, and both descriptions: the catalog's where reservation says that it is.
#[test]
fn the_page_of_the_api_finds_both_descriptions() {
    let documents = Documents::of("production");
    for path in ["/docs", "/docs/start.js", "/openapi.json"] {
        assert_eq!(over_http(&documents, path), ["reservation"], "{path}");
    }
    let mut settings =
        documents.of_kind("ConfigMap").map(|map| text(&map["data"]["HOLDFAST_CATALOG_HTTP_URL"]));
    let catalog = settings.find(|url| !url.is_empty()).expect("reservation says where the catalog is");
    let (name, path) = catalog
        .strip_prefix("https://")
        .and_then(|rest| rest.split_once('/'))
        .expect("a name, and a path that is not reservation's");
    let path = format!("/{path}/openapi.json");
    assert_eq!(over_http(&documents, &path), ["catalog"]);
    let rule = documents
        .of_kind("HTTPRoute")
        .filter(|route| list(&route["spec"]["hostnames"]).contains(&name.into()))
        .flat_map(|route| list(&route["spec"]["rules"]))
        .find(|rule| rule["matches"][0]["path"]["value"] == path.as_str())
        .expect("a rule for it");
    assert_eq!(rule["filters"][0]["urlRewrite"]["path"]["replaceFullPath"], "/openapi.json");
}

/// One name cannot have routes of both kinds; and what a route names, the gateway has.
#[test]
fn every_route_belongs_to_one_listener_with_its_name_and_tls() {
    let documents = Documents::of("production");
    for kind in ["GRPCRoute", "HTTPRoute"] {
        for route in documents.of_kind(kind) {
            let parent = &route["spec"]["parentRefs"][0];
            let gateway = documents.find("Gateway", text(&parent["name"])).expect("its gateway");
            let mut listeners = list(&gateway["spec"]["listeners"]).iter();
            let listener = listeners.find(|one| one["name"] == parent["sectionName"]).expect("its listener");
            assert_eq!(route["spec"]["hostnames"], serde_json::json!([listener["hostname"]]));
            assert_eq!(listener["name"] == "grpc", kind == "GRPCRoute");
            assert_eq!(
                (&listener["protocol"], &listener["tls"]["mode"]),
                (&"HTTPS".into(), &"Terminate".into())
            );
        }
    }
}

/// Who is called by a public name over HTTP refuses every other.
#[test]
fn services_know_the_names_that_they_are_called_by() {
    let documents = Documents::of("production");
    let mut routed = 0;
    for route in documents.of_kind("HTTPRoute") {
        for backend in list(&route["spec"]["rules"]).iter().flat_map(|rule| list(&rule["backendRefs"])) {
            let settings = documents.of_kind("ConfigMap").find(|map| {
                text(&map["metadata"]["name"])
                    .rsplit_once('-')
                    .is_some_and(|(name, _)| name == text(&backend["name"]))
            });
            let known = settings.map(|map| text(&map["data"]["HOLDFAST_HTTP_HOSTS"])).unwrap_or_default();
            for name in list(&route["spec"]["hostnames"]) {
                assert!(
                    known.split(',').any(|known| known == text(name)),
                    "{name} of {}: {known}",
                    backend["name"]
                );
                routed += 1;
            }
        }
    }
    assert!(routed >= 2, "{routed}");
}
