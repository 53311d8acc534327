//! How parts find each other: selectors, ports, addresses in the configuration, options that programs know.

use serde_json::Value;

use crate::{
    documents::{Documents, Workload, list, name, text},
    programs::help,
};

/// The labels of pods that operators make.
fn pods_of_operators(documents: &Documents) -> Vec<Value> {
    let databases = documents.of_kind("Cluster").map(
        |cluster| serde_json::json!({ "cnpg.io/cluster": name(cluster), "cnpg.io/podRole": "instance" }),
    );
    let brokers = documents.of_kind("RabbitmqCluster").map(|cluster| {
        serde_json::json!({ "app.kubernetes.io/name": name(cluster), "app.kubernetes.io/component": "rabbitmq" })
    });
    databases.chain(brokers).collect()
}

/// Whether a selector, with `matchLabels` and `matchExpressions` of In, takes these labels.
pub(crate) fn selects(selector: &Value, labels: &Value) -> bool {
    let equal =
        selector["matchLabels"].as_object().into_iter().flatten().all(|(key, value)| labels[key] == *value);
    equal
        && list(&selector["matchExpressions"]).iter().all(|expression| {
            assert_eq!(expression["operator"], "In", "only In is understood here");
            list(&expression["values"]).contains(&labels[text(&expression["key"])])
        })
}

/// The workloads whose pods the selector of a Service takes.
fn behind<'a>(documents: &'a Documents, service: &Value) -> Vec<Workload<'a>> {
    let wanted = service["spec"]["selector"].as_object();
    let takes =
        |labels: &Value| wanted.is_some_and(|all| all.iter().all(|(key, value)| labels[key] == *value));
    documents.workloads().filter(|workload| takes(workload.labels())).collect()
}

/// Whoever selects pods selects some, and only those that are meant.
pub(crate) fn selectors(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.deployments() {
        let own = &workload.object["spec"]["selector"];
        if !selects(own, workload.labels())
            || documents.workloads().filter(|other| selects(own, other.labels())).count() != 1
        {
            complaints.push(format!(
                "{}: its selector does not take its own pods, and no others",
                workload.title()
            ));
        }
        for spread in list(&workload.pod()["topologySpreadConstraints"]) {
            if !selects(&spread["labelSelector"], workload.labels()) {
                complaints.push(format!("{}: spreads other pods than its own", workload.title()));
            }
        }
        if list(&workload.pod()["topologySpreadConstraints"]).is_empty() {
            complaints.push(format!("{}: is not spread", workload.title()));
        }
    }
    for service in documents.of_kind("Service") {
        if behind(documents, service).len() != 1 {
            complaints.push(format!("Service {}: is not one workload's", name(service)));
        }
    }
    let operators = pods_of_operators(documents);
    let pods: Vec<&Value> =
        documents.workloads().map(|workload| workload.labels()).chain(&operators).collect();
    for kind in ["PodDisruptionBudget", "NetworkPolicy"] {
        for document in documents.of_kind(kind) {
            let field = if kind == "NetworkPolicy" { "podSelector" } else { "selector" };
            if !pods.iter().any(|labels| selects(&document["spec"][field], labels)) {
                complaints.push(format!("{kind} {}: selects no pod", name(document)));
            }
        }
    }
    complaints.extend(monitors(documents));
    complaints
}

/// A ServiceMonitor takes one Service of ours, with its port: of two, every pod would be asked twice.
fn monitors(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for monitor in documents.of_kind("ServiceMonitor").filter(|monitor| name(monitor) != "rabbitmq") {
        let selector = &monitor["spec"]["selector"];
        let mut taken =
            documents.of_kind("Service").filter(|service| selects(selector, &service["metadata"]["labels"]));
        let (one, another) = (taken.next(), taken.next());
        let ports = one.map(|service| list(&service["spec"]["ports"])).unwrap_or_default();
        let has = |endpoint: &Value| ports.iter().any(|port| port["name"] == endpoint["port"]);
        if another.is_some() || !list(&monitor["spec"]["endpoints"]).iter().all(has) {
            complaints.push(format!("ServiceMonitor {}: not one Service with its port", name(monitor)));
        }
    }
    complaints
}

/// Services lead to ports that the containers have, and programs listen where the containers say.
pub(crate) fn ports(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for service in documents.of_kind("Service") {
        for workload in behind(documents, service) {
            let known: Vec<_> =
                workload.containers().flat_map(|container| list(&container["ports"])).collect();
            for port in list(&service["spec"]["ports"]) {
                let leads = known.iter().any(|known| {
                    known["name"] == port["targetPort"] && known["containerPort"] == port["port"]
                });
                if !leads {
                    complaints.push(format!("Service {}: {port} leads nowhere", name(service)));
                }
            }
        }
    }
    for workload in documents.deployments() {
        for container in workload.containers() {
            for (port, variable) in [("grpc", "HOLDFAST_LISTEN"), ("http", "HOLDFAST_HTTP_LISTEN")] {
                let declared = list(&container["ports"]).iter().find(|known| known["name"] == port);
                let listens = variable_of(documents, container, variable);
                let wanted = declared.map(|known| format!("0.0.0.0:{}", known["containerPort"]));
                if listens != wanted {
                    complaints
                        .push(format!("{}: {variable} is {listens:?}, not {wanted:?}", workload.title()));
                }
            }
        }
    }
    complaints
}

/// What a container's variable is, from its ConfigMaps or its own list.
fn variable_of(documents: &Documents, container: &Value, variable: &str) -> Option<String> {
    variables(documents, container).into_iter().find(|(name, _)| name == variable).map(|(_, value)| value)
}

/// All variables of a container and their values; of a reference, none.
pub(crate) fn variables(documents: &Documents, container: &Value) -> Vec<(String, String)> {
    let maps = list(&container["envFrom"]).iter().filter_map(|from| {
        documents.find("ConfigMap", text(&from["configMapRef"]["name"]))?["data"].as_object()
    });
    let shared = maps.flatten().map(|(name, value)| (name.clone(), text(value).to_owned()));
    let own = list(&container["env"])
        .iter()
        .map(|one| (text(&one["name"]).to_owned(), text(&one["value"]).to_owned()));
    shared.chain(own).collect()
}

/// Where strangers get in, nobody calls as often as they like.
pub(crate) fn rates(documents: &Documents) -> Vec<String> {
    if documents.of_kind("Gateway").next().is_none() {
        return Vec::new();
    }
    let serves = |container: &&Value| list(&container["ports"]).iter().any(|port| port["name"] == "grpc");
    let is_limited = |container: &Value| {
        let limit = variable_of(documents, container, "HOLDFAST_RATE_LIMIT");
        limit.is_some_and(|limit| limit.parse::<u32>().is_ok())
    };
    let workloads = documents.deployments();
    let unlimited =
        workloads.filter(|workload| workload.containers().filter(serves).any(|one| !is_limited(one)));
    unlimited
        .map(|workload| format!("{}: a caller may call as often as it likes", workload.title()))
        .collect()
}

/// Addresses of other parts are those of Services that have the port. For calls they are headless.
pub(crate) fn addresses(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.workloads() {
        for container in workload.containers() {
            if list(&container["envFrom"])
                .iter()
                .any(|from| documents.find("ConfigMap", text(&from["configMapRef"]["name"])).is_none())
            {
                complaints.push(format!("{}: a ConfigMap is missing", workload.title()));
            }
            for (variable, value) in variables(documents, container) {
                let holds = match variable.as_str() {
                    _ if value.is_empty() => true, // out of a Secret, whole
                    "HOLDFAST_CATALOG_URL" | "HOLDFAST_RESERVATION_URL" => leads_to_pods(documents, &value),
                    "HOLDFAST_AMQP_URL" => documents
                        .of_kind("RabbitmqCluster")
                        .any(|broker| value.ends_with(&format!("@{}:5671", name(broker)))),
                    "HOLDFAST_DATABASE_URL" => documents
                        .of_kind("Cluster")
                        .any(|database| value.contains(&format!("@{}-rw:5432/", name(database)))),
                    _ => true,
                };
                if !holds {
                    complaints.push(format!("{}: {variable} leads nowhere: {value}", workload.title()));
                }
            }
        }
    }
    complaints.extend(documents.of_kind("ScaledObject").filter_map(|scaler| broker_of(documents, scaler)));
    complaints
}

/// KEDA asks from a namespace of its own, where a name without ours means nothing.
fn broker_of(documents: &Documents, scaler: &Value) -> Option<String> {
    let host = text(scaler.pointer("/spec/triggers/0/metadata/host")?);
    let (_, name_and_port) = host.split_once("://")?;
    let known = documents.of_kind("RabbitmqCluster").any(|broker| {
        let name = format!("{}.{}.svc:", name(broker), text(&broker["metadata"]["namespace"]));
        name_and_port.starts_with(&name) && scaler["metadata"]["namespace"] == broker["metadata"]["namespace"]
    });
    (!known).then(|| format!("ScaledObject {}: {host} leads nowhere from another namespace", name(scaler)))
}

/// `https://SERVICE:PORT`, of a headless Service.
fn leads_to_pods(documents: &Documents, url: &str) -> bool {
    let Some((service, port)) = url.strip_prefix("https://").and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    documents.find("Service", service).is_some_and(|service| {
        service["spec"]["clusterIP"] == "None"
            && list(&service["spec"]["ports"]).iter().any(|known| known["port"].as_u64() == port.parse().ok())
    })
}

/// Programs know the variables that they get, and the commands. Other variables are parts of theirs.
pub(crate) fn options(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.workloads() {
        for container in workload.containers() {
            let mut command = list(&container["command"]).iter().chain(list(&container["args"])).map(text);
            let Some(help) = command.next().and_then(help) else {
                complaints.push(format!("{}: there is no such program", workload.title()));
                continue;
            };
            for word in command.filter(|word| !help.has_command(word)) {
                complaints.push(format!("{}: unknown command {word}", workload.title()));
            }
            let all = variables(documents, container);
            for (variable, _) in &all {
                let part = all.iter().any(|(_, value)| value.contains(&format!("$({variable})")));
                if !part && !help.has_variable(variable) {
                    complaints.push(format!("{}: unknown variable {variable}", workload.title()));
                }
            }
        }
    }
    complaints
}
