//! Secrets: by reference only, to what something makes.

use serde_json::Value;

use super::wiring::variables;
use crate::{
    documents::{Documents, list, name, text},
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
            authority.rsplit_once('@').is_some_and(|(user, _)| !user.starts_with("$("))
        }),
        Value::Array(all) => all.iter().any(has_password),
        Value::Object(all) => all.values().any(has_password),
        _ => false,
    }
}

/// Every Secret that something refers to is made by an operator, from an object that is here.
pub(crate) fn references(documents: &Documents) -> Vec<String> {
    let made = |secret: &str, key: &str| {
        documents.of_kind("Cluster").any(|cluster| secret == format!("{}-app", name(cluster)) && key == "uri")
            || documents.of_kind("User").any(|user| {
                secret == format!("{}-user-credentials", name(user))
                    && ["username", "password"].contains(&key)
            })
    };
    let mut complaints = Vec::new();
    for workload in documents.workloads() {
        for variable in workload.containers().flat_map(|container| list(&container["env"])) {
            let reference = &variable["valueFrom"]["secretKeyRef"];
            if !reference.is_null() && !made(text(&reference["name"]), text(&reference["key"])) {
                complaints.push(format!("{}: nobody makes {reference}", workload.title()));
            }
        }
    }
    for reference in
        documents.of_kind("TriggerAuthentication").flat_map(|one| list(&one["spec"]["secretTargetRef"]))
    {
        if !made(text(&reference["name"]), text(&reference["key"])) {
            complaints.push(format!("nobody makes {reference}"));
        }
    }
    complaints
}
