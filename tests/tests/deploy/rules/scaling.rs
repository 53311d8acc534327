//! How many there are: at least, at most, and while nodes are drained.

use serde_json::Value;

use super::wiring::selects;
use crate::documents::{Documents, Workload, list, name, text};

/// Connections of a process beside those of its pool: one that watches the database, one that looks for the primary.
const WATCHERS: u64 = 2;
/// What PostgreSQL keeps for superusers, and for a migration and the operator.
const RESERVED: u64 = 10;

/// What scales a workload, with its least and its most.
fn scaled<'a>(documents: &'a Documents, workload: &Workload<'_>) -> Option<(&'a Value, u64, u64)> {
    let kinds = [
        ("HorizontalPodAutoscaler", "minReplicas", "maxReplicas"),
        ("ScaledObject", "minReplicaCount", "maxReplicaCount"),
    ];
    kinds.into_iter().find_map(|(kind, least, most)| {
        let mut all = documents.of_kind(kind);
        let spec = &all.find(|document| document["spec"]["scaleTargetRef"]["name"] == workload.name)?["spec"];
        Some((spec, spec[least].as_u64()?, spec[most].as_u64()?))
    })
}

/// A drain of nodes leaves some, and is not blocked by them.
pub(crate) fn disruption(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.deployments() {
        let least = scaled(documents, &workload).map_or(1, |(_, least, _)| least);
        let mut all = documents.of_kind("PodDisruptionBudget");
        let budget = all.find(|budget| selects(&budget["spec"]["selector"], workload.labels()));
        let may_go = budget.and_then(|budget| budget["spec"]["maxUnavailable"].as_u64());
        match may_go {
            None if least > 1 => complaints.push(format!("{}: no budget", workload.title())),
            Some(count) if count == 0 || count >= least => {
                complaints.push(format!("{}: {count} of {least} may go", workload.title()));
            }
            _ => {}
        }
    }
    for broker in documents.of_kind("RabbitmqCluster") {
        let nodes = broker["spec"]["replicas"].as_u64().unwrap_or_default();
        let budget =
            documents.find("PodDisruptionBudget", "rabbitmq").map(|budget| &budget["spec"]["maxUnavailable"]);
        if nodes % 2 == 0 || budget.is_some() != (nodes > 1) || budget.is_some_and(|count| *count != 1) {
            complaints.push(format!("RabbitMQ: {budget:?} of {nodes} nodes may go"));
        }
    }
    complaints
}

/// What has copies has no two of them on one node, and is spread over zones where there are several.
pub(crate) fn spread(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    let zones = |constraints: &Value| {
        list(constraints).iter().any(|one| one["topologyKey"] == "topology.kubernetes.io/zone")
    };
    for database in documents.of_kind("Cluster") {
        let affinity = &database["spec"]["affinity"];
        let apart = affinity["podAntiAffinityType"] == "required"
            && affinity["topologyKey"] == "kubernetes.io/hostname";
        if !apart || !zones(&database["spec"]["topologySpreadConstraints"]) {
            complaints.push(format!("Cluster {}: may go with one node or zone", name(database)));
        }
    }
    for broker in documents.of_kind("RabbitmqCluster") {
        let pod = &broker["spec"]["override"]["statefulSet"]["spec"]["template"]["spec"];
        let constraints = &pod["topologySpreadConstraints"];
        let apart = list(constraints).iter().any(|one| {
            one["topologyKey"] == "kubernetes.io/hostname" && one["whenUnsatisfiable"] == "DoNotSchedule"
        });
        if !apart || !zones(constraints) {
            complaints.push(format!("RabbitmqCluster {}: may go with one node or zone", name(broker)));
        }
    }
    complaints
}

/// A database with copies is backed up every day, and its log all the time, into a store that is here: copies are no backup.
pub(crate) fn backups(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for database in documents.of_kind("Cluster") {
        let archiver = list(&database["spec"]["plugins"]).iter().find(|one| one["isWALArchiver"] == true);
        let stored = archiver.is_some_and(|plugin| {
            documents.find("ObjectStore", text(&plugin["parameters"]["barmanObjectName"])).is_some()
        });
        let mut plans = documents.of_kind("ScheduledBackup").map(|backup| &backup["spec"]);
        let scheduled = plans.any(|backup| {
            backup["cluster"]["name"] == name(database)
                && archiver.is_some_and(|plugin| backup["pluginConfiguration"]["name"] == plugin["name"])
                && text(&backup["schedule"]).ends_with(" * * *")
        });
        if database["spec"]["instances"] != 1 && !(stored && scheduled) {
            complaints.push(format!("Cluster {}: no backup", name(database)));
        }
    }
    complaints
}

/// What scales has something to scale, and never down to nothing.
pub(crate) fn targets(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for kind in ["HorizontalPodAutoscaler", "ScaledObject"] {
        for scaler in documents.of_kind(kind) {
            let target = text(&scaler["spec"]["scaleTargetRef"]["name"]);
            let Some(workload) = documents.deployments().find(|workload| workload.name == target) else {
                complaints.push(format!("{kind} {}: nothing to scale", name(scaler)));
                continue;
            };
            if scaled(documents, &workload).is_none_or(|(_, least, most)| least == 0 || least >= most) {
                complaints.push(format!("{kind} {}: from how many to how many?", name(scaler)));
            }
            if !workload.object["spec"]["replicas"].is_null() {
                complaints.push(format!("{}: an apply would undo its scaling", workload.title()));
            }
            let queue = scaler.pointer("/spec/triggers/0/metadata/queueName");
            if kind == "ScaledObject" && queue.is_none_or(|queue| queue != amqp::topology::DUE) {
                complaints.push(format!("ScaledObject {}: {queue:?} is no queue of ours", name(scaler)));
            }
        }
    }
    complaints
}

/// A database has connections for as many replicas as there may be, and one more while they are replaced.
pub(crate) fn connections(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for database in documents.of_kind("Cluster") {
        let service = name(database).trim_end_matches("-db");
        let Some(workload) = documents.deployments().find(|workload| workload.name == service) else {
            complaints.push(format!("Cluster {}: nobody's", name(database)));
            continue;
        };
        let most = scaled(documents, &workload).map_or(1, |(_, _, most)| most);
        let pool = 12; // HOLDFAST_DATABASE_CONNECTIONS, which no overlay sets
        let wanted = (most + 1) * (pool + WATCHERS) + RESERVED;
        let offered =
            text(&database["spec"]["postgresql"]["parameters"]["max_connections"]).parse().unwrap_or(0);
        if wanted > offered {
            complaints
                .push(format!("Cluster {}: {wanted} connections may be wanted of {offered}", name(database)));
        }
        let instances = database["spec"]["instances"].as_u64().unwrap_or_default();
        let durable = &database["spec"]["postgresql"]["synchronous"];
        if instances > 1 && (durable["dataDurability"] != "required" || durable["failoverQuorum"] != true) {
            complaints.push(format!("Cluster {}: a failover may lose commits", name(database)));
        }
    }
    complaints
}
