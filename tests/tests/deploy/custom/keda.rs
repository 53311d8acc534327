//! KEDA: `keda.sh/v1alpha1`.

#![expect(dead_code, reason = "reading the fields is the check")]

use serde::Deserialize;
use serde_json::Value;

use super::Named;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ScaledObject {
    scale_target_ref: Named,
    min_replica_count: u8,
    max_replica_count: u8,
    polling_interval: u16,
    cooldown_period: u16,
    fallback: Fallback,
    advanced: Advanced,
    triggers: Vec<Trigger>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Fallback {
    failure_threshold: u8,
    replicas: u8,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advanced {
    horizontal_pod_autoscaler_config: AutoscalerConfig,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AutoscalerConfig {
    behavior: Value, // core
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Trigger {
    #[serde(rename = "type")]
    kind: TriggerKind,
    metadata: QueueLength,
    authentication_ref: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum TriggerKind {
    Rabbitmq,
}

/// Texts, all of them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct QueueLength {
    protocol: String,
    /// Where no Secret has it.
    host: Option<String>,
    vhost_name: String,
    queue_name: String,
    mode: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct TriggerAuthentication {
    secret_target_ref: Vec<SecretTarget>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SecretTarget {
    parameter: String,
    name: String,
    key: String,
}
