//! Secrets: by reference only, to what something makes.

use std::fs;

use serde_json::Value;

use super::wiring::variables;
use crate::{
    documents::{Documents, OVERLAYS, file, list, name, text},
    programs::help,
};

/// Nothing that is secret stands in the documents.
pub(crate) fn literals(documents: &Documents) -> Vec<String> {
    let mut complaints: Vec<_> = documents
        .of_kind("Secret")
        .map(|secret| format!("Secret {} is written down", name(secret)))
        .collect();
    for workload in documents.workloads() {
        for container in workload.containers() {
            let help = list(&container["command"]).first().map(text).and_then(help);
            for (variable, value) in variables(documents, container) {
                // What may hold a password, by the program's own word, is put together of references.
                let hidden = help.as_ref().is_some_and(|help| help.hides(&variable));
                let named = ["PASSWORD", "SECRET", "TOKEN"].iter().any(|word| variable.contains(word));
                if !value.is_empty() && (hidden || named) && !value.contains("$(") {
                    complaints.push(format!("{}: {variable} is written down", workload.title()));
                }
            }
        }
    }
    complaints.extend(
        documents.0.iter().filter(|document| has_password(document)).map(|document| {
            format!("{} {} has a URL with a password", text(&document["kind"]), name(document))
        }),
    );
    complaints
}

/// Whether a text of it is a URL with a user and a password, other than by reference.
fn has_password(value: &Value) -> bool {
    match value {
        Value::String(text) => text.split("://").skip(1).any(|rest| {
            let authority = rest.split(['/', '?', '\n']).next().unwrap_or_default();
            let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
            user.split_once(':').is_some_and(|(_, password)| !password.starts_with("$("))
        }),
        Value::Array(all) => all.iter().any(has_password),
        Value::Object(all) => all.values().any(has_password),
        _ => false,
    }
}

/// Every Secret that something refers to is made by an operator, from an object that is here, or is one of those that
/// docs/deploying.md asks for.
pub(crate) fn references(documents: &Documents) -> Vec<String> {
    let complaints = referred(documents).into_iter().filter_map(|(by, secret, key)| {
        let known = made(documents, &secret, &key) || asked_for(&secret, &key);
        (!known).then(|| format!("{by}: nobody makes {key} of {secret}"))
    });
    complaints.collect()
}

/// Who refers to which key of which Secret.
fn referred(documents: &Documents) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut refer = |by: String, secret: &Value, key: &Value| {
        all.push((by, text(secret).to_owned(), text(key).to_owned()));
    };
    for workload in documents.workloads() {
        for variable in workload.containers().flat_map(|container| list(&container["env"])) {
            let reference = &variable["valueFrom"]["secretKeyRef"];
            if !reference.is_null() {
                refer(workload.title(), &reference["name"], &reference["key"]);
            }
        }
    }
    for workload in documents.workloads() {
        for secret in list(&workload.pod()["volumes"]).iter().map(|volume| &volume["secret"]) {
            for item in list(&secret["items"]) {
                refer(workload.title(), &secret["secretName"], &item["key"]);
            }
            if !secret.is_null() && secret["items"].is_null() {
                refer(workload.title(), &secret["secretName"], &"tls.key".into());
            }
        }
    }
    for role in documents.of_kind("Cluster").flat_map(|cluster| list(&cluster["spec"]["managed"]["roles"])) {
        refer(text(&role["name"]).to_owned(), &role["passwordSecret"]["name"], &"password".into());
    }
    for broker in documents.of_kind("RabbitmqCluster") {
        refer(name(broker).to_owned(), &broker["spec"]["tls"]["secretName"], &"tls.key".into());
    }
    for policy in documents.of_kind("BackendTLSPolicy") {
        for reference in list(&policy["spec"]["validation"]["caCertificateRefs"]) {
            refer(name(policy).to_owned(), &reference["name"], &"ca.crt".into());
        }
    }
    for monitor in documents.of_kind("ServiceMonitor") {
        let authorities =
            list(&monitor["spec"]["endpoints"]).iter().map(|one| &one["tlsConfig"]["ca"]["secret"]);
        for secret in authorities.filter(|secret| !secret.is_null()) {
            refer(name(monitor).to_owned(), &secret["name"], &secret["key"]);
        }
    }
    for one in documents.of_kind("TriggerAuthentication") {
        for reference in list(&one["spec"]["secretTargetRef"]) {
            refer(name(one).to_owned(), &reference["name"], &reference["key"]);
        }
    }
    for store in documents.of_kind("ObjectStore") {
        let credentials = store.pointer("/spec/configuration/s3Credentials").and_then(Value::as_object);
        for reference in credentials.into_iter().flat_map(|all| all.values()) {
            refer(name(store).to_owned(), &reference["name"], &reference["key"]);
        }
    }
    for listener in documents.of_kind("Gateway").flat_map(|gateway| list(&gateway["spec"]["listeners"])) {
        for reference in list(&listener["tls"]["certificateRefs"]) {
            refer(text(&listener["name"]).to_owned(), &reference["name"], &"tls.key".into());
        }
    }
    all
}

/// Whether an operator makes it.
fn made(documents: &Documents, secret: &str, key: &str) -> bool {
    let of_user = |user: &Value| {
        secret == format!("{}-user-credentials", name(user)) && ["username", "password"].contains(&key)
    };
    let of_certificate = |certificate: &Value| {
        secret == text(&certificate["spec"]["secretName"]) && ["tls.crt", "tls.key", "ca.crt"].contains(&key)
    };
    let of_database = |database: &Value| {
        [("-app", "uri"), ("-ca", "ca.crt")]
            .iter()
            .any(|(suffix, known)| secret == format!("{}{suffix}", name(database)) && key == *known)
    };
    documents.of_kind("Cluster").any(of_database)
        || documents.of_kind("User").any(of_user)
        || documents.of_kind("Certificate").any(of_certificate)
}

/// Whether the page tells people to make it: a row with its name and its keys.
fn asked_for(secret: &str, key: &str) -> bool {
    let page = fs::read_to_string(file("docs/deploying.md")).expect("the page is there");
    page.lines()
        .any(|line| line.starts_with(&format!("| `{secret}` |")) && line.contains(&format!("`{key}`")))
}

/// What a Gateway and certificates need of the cluster, the page names.
#[test]
fn the_page_names_what_must_be_there_before() {
    let page = fs::read_to_string(file("docs/deploying.md")).expect("the page is there");
    for overlay in OVERLAYS {
        let documents = Documents::of(overlay);
        let classes = documents.of_kind("Gateway").map(|gateway| &gateway["spec"]["gatewayClassName"]);
        let issuers = documents
            .of_kind("Certificate")
            .map(|certificate| &certificate["spec"]["issuerRef"])
            .filter(|issuer| documents.find(text(&issuer["kind"]), text(&issuer["name"])).is_none())
            .map(|issuer| &issuer["name"]);
        for needed in classes.chain(issuers).map(text) {
            assert!(page.contains(&format!("name: {needed} ")), "{overlay}: {needed}");
        }
    }
}
