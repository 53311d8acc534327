//! Objects of operators, by types that refuse unknown fields. Their schemas are not at hand offline: the types have the fields that
//! are used here, as the operators' own definitions name them. A misspelt field does not get through, a wrong value may.

mod backups;
mod broker;
mod certificates;
mod database;
mod gateway;
mod keda;
mod monitoring;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::documents::{Documents, OVERLAYS, name, text};

/// What every object has.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(dead_code, reason = "reading them is the check")]
struct Object<S> {
    api_version: String,
    kind: String,
    metadata: Value, // kustomize writes it
    spec: S,
}

/// A reference by name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "reading it is the check")]
struct Named {
    name: String,
}

fn read<S: DeserializeOwned>(document: &Value) -> Result<(), String> {
    serde_json::from_value::<Object<S>>(document.clone()).map(|_| ()).map_err(|error| error.to_string())
}

/// What is wrong with an object of an operator; nothing for an object of Kubernetes, which others judge.
fn complaint(document: &Value) -> Option<String> {
    let result = match (text(&document["apiVersion"]), text(&document["kind"])) {
        ("postgresql.cnpg.io/v1", "Cluster") => read::<database::Cluster>(document),
        ("postgresql.cnpg.io/v1", "ScheduledBackup") => read::<backups::ScheduledBackup>(document),
        ("barmancloud.cnpg.io/v1", "ObjectStore") => read::<backups::ObjectStore>(document),
        ("cert-manager.io/v1", "Certificate") => read::<certificates::Certificate>(document),
        ("cert-manager.io/v1", "Issuer") => read::<certificates::Issuer>(document),
        ("rabbitmq.com/v1beta1", "RabbitmqCluster") => read::<broker::RabbitmqCluster>(document),
        ("rabbitmq.com/v1beta1", "User") => read::<broker::User>(document),
        ("rabbitmq.com/v1beta1", "Permission") => read::<broker::Permission>(document),
        ("rabbitmq.com/v1beta1", "Policy") => read::<broker::Policy>(document),
        ("keda.sh/v1alpha1", "ScaledObject") => read::<keda::ScaledObject>(document),
        ("keda.sh/v1alpha1", "TriggerAuthentication") => read::<keda::TriggerAuthentication>(document),
        ("monitoring.coreos.com/v1", "ServiceMonitor") => read::<monitoring::ServiceMonitor>(document),
        ("monitoring.coreos.com/v1", "PodMonitor") => read::<monitoring::PodMonitor>(document),
        ("gateway.networking.k8s.io/v1", "Gateway") => read::<gateway::Gateway>(document),
        ("gateway.networking.k8s.io/v1", "HTTPRoute") => read::<gateway::HttpRoute>(document),
        ("gateway.networking.k8s.io/v1", "BackendTLSPolicy") => read::<gateway::BackendTlsPolicy>(document),
        ("gateway.networking.k8s.io/v1", "GRPCRoute") => read::<gateway::GrpcRoute>(document),
        (version, _) if !version.contains('.') || version == "networking.k8s.io/v1" => Ok(()),
        (version, kind) => Err(format!("{version} {kind} is not known here")),
    };
    result.err().map(|error| format!("{} {}: {error}", text(&document["kind"]), name(document)))
}

/// What is wrong with the objects of operators.
pub(crate) fn complaints(documents: &Documents) -> Vec<String> {
    documents.0.iter().filter_map(complaint).collect()
}

#[test]
fn objects_of_operators_have_no_field_that_is_not_known() {
    for overlay in OVERLAYS {
        assert_eq!(complaints(&Documents::of(overlay)), [""; 0], "{overlay}");
    }
}
