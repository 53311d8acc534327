//! Pods: probes, resources, what they may not do, how they end, which images they run.

use std::fs;

use serde_json::{Value, json};

use crate::documents::{Documents, file, list, name, text};

/// Every container that serves has all three probes, at ports that it has.
pub(crate) fn probes(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.deployments() {
        for container in workload.containers() {
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                let probed = &container[probe];
                let port = [&probed["httpGet"]["port"], &probed["grpc"]["port"]]
                    .into_iter()
                    .find(|port| !port.is_null());
                let known = list(&container["ports"]).iter().any(|known| {
                    port.is_some_and(|port| *port == known["name"] || *port == known["containerPort"])
                });
                if !known {
                    complaints.push(format!("{}: no {probe} at a port that it has", workload.title()));
                }
            }
            if !container["livenessProbe"]["httpGet"]["path"].eq("/livez") {
                complaints.push(format!("{}: liveness asks for more than the process", workload.title()));
            }
        }
    }
    complaints
}

/// Every container says what it asks for and what it may have.
pub(crate) fn resources(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.workloads() {
        for container in workload.containers() {
            for (kind, what) in
                [("requests", "cpu"), ("requests", "memory"), ("limits", "cpu"), ("limits", "memory")]
            {
                if text(&container["resources"][kind][what]).is_empty() {
                    complaints.push(format!("{}: no {kind} of {what}", workload.title()));
                }
            }
        }
    }
    complaints
}

/// A service may have the memory that it can need: the last column of the table in docs/overload.md.
pub(crate) fn memory(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.deployments() {
        let Some(bound) = memory_bound_mib(workload.name) else {
            complaints.push(format!("docs/overload.md has no bound for {}", workload.name));
            continue;
        };
        for container in workload.containers() {
            let limit = text(&container["resources"]["limits"]["memory"]);
            let mib = limit.strip_suffix("Mi").and_then(|mib| mib.parse::<f64>().ok()).unwrap_or_default();
            if mib < bound {
                complaints
                    .push(format!("{}: {limit} is less than the bound of {bound} MiB", workload.title()));
            }
        }
    }
    complaints
}

fn memory_bound_mib(service: &str) -> Option<f64> {
    let page = fs::read_to_string(file("docs/overload.md")).expect("the page is there");
    let row = page.lines().rfind(|line| line.starts_with(&format!("| {service} |")))?;
    let (amount, unit) = row.trim_end_matches('|').rsplit('|').next()?.trim().split_once(' ')?;
    Some(amount.parse::<f64>().ok()? * if unit == "GiB" { 1024.0 } else { 1.0 })
}

/// No container can do more than it must.
pub(crate) fn confinement(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.workloads() {
        let pod = workload.pod();
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                complaints.push(format!("{}: {what}", workload.title()));
            }
        };
        let context = &pod["securityContext"];
        demand(
            context["runAsNonRoot"] == true && context["runAsUser"].as_u64().unwrap_or_default() > 0,
            "may be root",
        );
        demand(context["seccompProfile"]["type"] == "RuntimeDefault", "no seccomp profile");
        for shared in ["hostNetwork", "hostPID", "hostIPC"] {
            demand(pod[shared] != true, "shares a namespace of the node");
        }
        demand(
            list(&pod["volumes"]).iter().all(|volume| volume["hostPath"].is_null()),
            "mounts a path of the node",
        );
        for container in workload.containers() {
            let context = &container["securityContext"];
            demand(context["readOnlyRootFilesystem"] == true, "writable root");
            demand(context["allowPrivilegeEscalation"] == false, "may gain privileges");
            demand(context["privileged"] != true, "privileged");
            demand(context["capabilities"] == json!({ "drop": ["ALL"] }), "has capabilities");
            demand(
                context["runAsUser"].is_null() && context["runAsNonRoot"].is_null(),
                "overrides the pod's user",
            );
        }
    }
    complaints
}

/// Every workload has an account of its own, and none a way to the API server.
pub(crate) fn accounts(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut used = Vec::new();
    for workload in documents.workloads() {
        let account = text(&workload.pod()["serviceAccountName"]);
        let known = documents.find("ServiceAccount", account);
        if known.is_none_or(|known| known["automountServiceAccountToken"] != false) {
            complaints.push(format!("{}: its account is missing, or mounts its token", workload.title()));
        }
        if workload.pod()["automountServiceAccountToken"] != false
            || workload.pod()["enableServiceLinks"] != false
        {
            complaints
                .push(format!("{}: gets a token, or variables that it does not know", workload.title()));
        }
        if used.contains(&account) {
            complaints.push(format!("{}: shares the account {account}", workload.title()));
        }
        used.push(account);
    }
    complaints
}

/// The grace is longer than the pause before SIGTERM and the time after which the process ends whatever is stuck.
pub(crate) fn stopping(documents: &Documents) -> Vec<String> {
    let page = fs::read_to_string(file("docs/deploying.md")).expect("the page is there");
    let (before, _) =
        page.split_once(" s after the signal").expect("the page says when a process ends for certain");
    let hard_limit: u64 =
        before.rsplit(' ').next().and_then(|seconds| seconds.parse().ok()).expect("seconds");
    let mut complaints = Vec::new();
    for workload in documents.deployments() {
        let grace = workload.pod()["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        for container in workload.containers() {
            let serves = list(&container["ports"]).iter().any(|port| port["name"] == "grpc");
            let pause = &container["lifecycle"]["preStop"]["sleep"]["seconds"];
            if serves && pause.as_u64().unwrap_or_default() == 0 {
                complaints.push(format!("{}: ends before its callers hear of it", workload.title()));
            }
            if grace <= pause.as_u64().unwrap_or_default() + hard_limit {
                complaints.push(format!("{}: a grace of {grace} s is too short", workload.title()));
            }
        }
    }
    complaints
}

/// Every image has a tag that stays what it is, also those that operators run.
pub(crate) fn images(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut judge = |what: String, image: &Value| {
        let tag = text(image).rsplit('/').next().and_then(|last| last.split_once(':')).map(|(_, tag)| tag);
        if tag.is_none_or(|tag| tag.is_empty() || tag == "latest") {
            complaints.push(format!("{what}: {image} has no tag"));
        }
    };
    for workload in documents.workloads() {
        for container in workload.containers() {
            judge(workload.title(), &container["image"]);
        }
    }
    for (kind, field) in [("Cluster", "imageName"), ("RabbitmqCluster", "image")] {
        for document in documents.of_kind(kind) {
            judge(format!("{kind} {}", name(document)), &document["spec"][field]);
        }
    }
    let mut ours: Vec<_> =
        documents.workloads().flat_map(|workload| workload.containers()).map(|one| &one["image"]).collect();
    ours.dedup();
    if ours.len() != 1 {
        complaints.push(format!("more than one release: {ours:?}"));
    }
    complaints
}
