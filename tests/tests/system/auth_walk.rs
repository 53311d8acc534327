//! Every RPC, by every role and by nobody, over gRPC, gRPC-Web and REST: as the table says, and a new RPC has to be in it.

use std::collections::BTreeSet;

use api::reason_of;
use auth::{Access, Role};
use http::{Method, Request};
use prost::bytes::Bytes;
use serde_json::Value;
use stack::{ServiceKind, Stack};
use system_tests::{
    Rest, asking, fresh_id,
    fuzz::{Sent, call_as, targets},
    tell, token,
};
use tonic::Code;

/// What a caller hears, as far as it depends on who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    WhoAreYou,
    NotYou,
    /// Something that has to do with the call itself.
    Anything,
}

/// Nobody, and a caller of each role.
fn callers() -> Vec<(Option<Role>, Option<String>)> {
    let of = |role: Role| (Some(role), Some(token(&format!("walker-{}", role.as_str()), role.as_str())));
    [(None, None)].into_iter().chain(Role::ALL.map(of)).collect()
}

#[track_caller]
fn wanted(path: &str, role: Option<Role>) -> Heard {
    let access = auth::access(path).unwrap_or_else(|| panic!("{path} is not in the table of crates/auth"));
    match (access, role) {
        (Access::Everyone, _) => Heard::Anything,
        (Access::Roles(_), None) => Heard::WhoAreYou,
        (Access::Roles(roles), Some(role)) if roles.contains(&role) => Heard::Anything,
        (Access::Roles(_), Some(_)) => Heard::NotYou,
    }
}

fn heard(code: Code, reason: &str) -> Heard {
    match (code, reason) {
        (Code::Unauthenticated, "NO_CREDENTIALS") => Heard::WhoAreYou,
        (Code::PermissionDenied, "ROLE_NOT_ALLOWED") => Heard::NotYou,
        (Code::Unauthenticated | Code::PermissionDenied | Code::Unimplemented | Code::Internal, _) => {
            panic!("{code:?} {reason}")
        }
        _ => Heard::Anything,
    }
}

fn urls(stack: &Stack) -> Vec<String> {
    vec![stack.catalog_url(), stack.reservation_url()]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_over_grpc_is_for_whom_the_table_says() {
    let (targets, callers) = (targets(&urls(asking())).await, callers());
    let (mut calls, mut seen) = (0, BTreeSet::new());
    for target in &targets {
        for method in &target.methods {
            seen.insert(method.path.clone());
            for (role, token) in &callers {
                let sent = Sent { messages: vec![Bytes::new()] };
                let answer = call_as(target.channels[0].clone(), method, &sent, token.as_deref()).await;
                let (code, reason) = match &answer {
                    Ok(_) => (Code::Ok, String::new()),
                    Err(status) => (status.code(), reason_of(status)),
                };
                assert_eq!(heard(code, &reason), wanted(&method.path, *role), "{} by {role:?}", method.path);
                calls += 1;
            }
        }
    }
    let listed: BTreeSet<String> = auth::entries().map(|(path, _)| path).collect();
    assert_eq!(seen, listed, "the table has what is served, and nothing else");
    tell(&format!("gRPC: {} RPCs, {calls} calls\n", seen.len()));
}

/// The public services, each with the process that has it over HTTP.
fn public(stack: &Stack) -> [(&'static str, String); 2] {
    [
        ("holdfast.catalog.v1.CatalogService", stack.catalog().http_url()),
        ("holdfast.reservation.v1.BookingService", stack.reservation().http_url()),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_over_grpc_web_is_for_whom_the_table_says_and_internal_ones_are_not_there() {
    let (stack, rest, callers) = (asking(), Rest::of(asking()), callers());
    let (mut calls, mut absent) = (0, 0);
    // Every RPC of every process: what is another's, or internal, is not there.
    for ((path, _), (service, url)) in
        auth::entries().flat_map(|entry| public(stack).map(move |service| (entry.clone(), service)))
    {
        let is_there = path.starts_with(&format!("/{service}/"));
        for (role, token) in &callers {
            let request = Request::post(path.clone()).header("content-type", "application/grpc-web+proto");
            let request = with_token(request, token.as_deref()).body(Bytes::from_static(&[0; 5]));
            let answer = rest.send_to(&url, request.expect("a request")).await;
            assert_eq!(answer.status, 200, "{path} at {url}: {answer:?}");
            let status = tonic::Status::from_header_map(&answer.headers);
            if !is_there {
                let code = status.map(|status| status.code());
                assert_eq!(code, Some(Code::Unimplemented), "{path} at {url}");
                absent += 1;
                continue;
            }
            // Without an error in the headers there is a message, and the trailers behind it.
            let (code, reason) =
                status.map_or((Code::Ok, String::new()), |status| (status.code(), reason_of(&status)));
            assert_eq!(heard(code, &reason), wanted(&path, *role), "{path} by {role:?}");
            calls += 1;
        }
    }
    tell(&format!("gRPC-Web: {calls} calls of public RPCs, {absent} of others, which are not there\n"));
}

fn with_token(request: http::request::Builder, token: Option<&str>) -> http::request::Builder {
    match token {
        Some(token) => request.header("authorization", format!("Bearer {token}")),
        None => request,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_rpc_over_rest_is_for_whom_the_table_says() {
    let (rest, callers) = (Rest::of(asking()), callers());
    let (mut calls, mut seen) = (0, BTreeSet::new());
    for (service, url) in public(asking()) {
        let document =
            rest.send_to(&url, Request::get("/openapi.json").body(Bytes::new()).expect("a request"));
        let document = document.await.ok();
        assert_eq!(document["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
        for (template, methods) in document["paths"].as_object().expect("it has paths") {
            for (method, operation) in methods.as_object().expect("it has methods") {
                let rpc = format!("/{service}/{}", operation["operationId"].as_str().expect("it has a name"));
                assert!(
                    operation["responses"]["401"].is_object() && operation["responses"]["403"].is_object()
                );
                seen.insert(rpc.clone());
                for (role, token) in &callers {
                    let method: Method = method.to_uppercase().parse().expect("a method");
                    let body = if operation["requestBody"].is_object() { "{}" } else { "" };
                    let request = Request::builder().method(method).uri(filled(template));
                    let request =
                        with_token(request, token.as_deref()).header("content-type", "application/json");
                    let answer = rest.send_to(&url, request.body(body.into()).expect("a request")).await;
                    let reason = reason_in(&answer.json);
                    let code = match answer.status.as_u16() {
                        401 => {
                            assert!(
                                answer.headers["www-authenticate"]
                                    .to_str()
                                    .is_ok_and(|it| it.starts_with("Bearer"))
                            );
                            Code::Unauthenticated
                        }
                        403 => Code::PermissionDenied,
                        404 if answer.json["message"] == "there is nothing at this path" => {
                            Code::Unimplemented
                        }
                        500 | 501 => Code::Internal,
                        _ => Code::Ok,
                    };
                    assert_eq!(heard(code, &reason), wanted(&rpc, *role), "{rpc} by {role:?}: {answer:?}");
                    calls += 1;
                }
            }
        }
    }
    let of_public =
        |path: &String| public(asking()).iter().any(|(service, _)| path.starts_with(&format!("/{service}/")));
    let listed: BTreeSet<String> = auth::entries().map(|(path, _)| path).filter(of_public).collect();
    assert_eq!(seen, listed);
    tell(&format!("REST: {} RPCs, {calls} calls\n", seen.len()));
}

/// A path whose variables are ids of nothing.
fn filled(template: &str) -> String {
    let parts = template.split('{').map(|part| match part.split_once('}') {
        Some((_, rest)) => format!("{}{rest}", fresh_id()),
        None => part.to_owned(),
    });
    parts.collect()
}

fn reason_in(error: &Value) -> String {
    let details = error["details"].as_array().into_iter().flatten();
    let mut reasons = details.filter_map(|detail| detail["reason"].as_str());
    reasons.next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_metrics_and_the_description_are_for_everyone() {
    let stack = asking();
    for kind in [ServiceKind::Catalog, ServiceKind::Reservation] {
        let service = stack.services().iter().find(|service| service.kind() == kind).expect("it is there");
        for path in ["/livez", "/readyz", "/metrics", "/openapi.json"] {
            let status = tokio::task::block_in_place(|| service.get(path)).expect("it answers").status;
            assert_eq!(status, 200, "{path} of {}", service.name());
        }
    }
}
