//! RabbitMQ's cluster operator and messaging topology operator: `rabbitmq.com/v1beta1`.

#![expect(dead_code, reason = "reading the fields is the check")]

use serde::Deserialize;
use serde_json::Value;

use super::Named;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RabbitmqCluster {
    replicas: u8,
    image: String,
    persistence: Persistence,
    resources: Value, // core
    tls: Tls,
    rabbitmq: Configuration,
    #[serde(rename = "override")]
    changes: Value, // a patch of core objects
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tls {
    secret_name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Persistence {
    storage: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configuration {
    additional_config: String,
    advanced_config: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct User {
    rabbitmq_cluster_reference: Named,
    tags: Option<Vec<Tag>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tag {
    Management,
    Policymaker,
    Monitoring,
    Administrator,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Permission {
    rabbitmq_cluster_reference: Named,
    vhost: String,
    user_reference: Named,
    permissions: Permissions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permissions {
    configure: String,
    write: String,
    read: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Policy {
    rabbitmq_cluster_reference: Named,
    name: String,
    vhost: String,
    pattern: String,
    apply_to: ApplyTo,
    definition: Definition,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ApplyTo {
    Queues,
    ClassicQueues,
    QuorumQueues,
    Streams,
    Exchanges,
    All,
}

/// RabbitMQ's own keys.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Definition {
    target_group_size: u8,
}
