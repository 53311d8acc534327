//! CloudNativePG: `postgresql.cnpg.io/v1`.

#![expect(dead_code, reason = "reading the fields is the check")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Named;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Cluster {
    instances: u8,
    image_name: String,
    primary_update_strategy: UpdateStrategy,
    primary_update_method: UpdateMethod,
    bootstrap: Bootstrap,
    managed: Managed,
    postgresql: Postgresql,
    storage: Storage,
    wal_storage: Option<Storage>,
    resources: Value, // core
    affinity: Affinity,
    topology_spread_constraints: Vec<Value>, // core
    plugins: Option<Vec<Plugin>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum UpdateStrategy {
    Unsupervised,
    Supervised,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum UpdateMethod {
    Switchover,
    Restart,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bootstrap {
    initdb: Initdb,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Managed {
    roles: Vec<Role>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Role {
    name: String,
    ensure: Ensure,
    login: bool,
    password_secret: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Ensure {
    Present,
    Absent,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Initdb {
    database: String,
    owner: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Postgresql {
    synchronous: Option<Synchronous>,
    /// Texts, also where they are numbers.
    parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Synchronous {
    method: Method,
    number: u8,
    data_durability: Durability,
    failover_quorum: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Method {
    Any,
    First,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Durability {
    Required,
    Preferred,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Plugin {
    name: String,
    #[serde(rename = "isWALArchiver")]
    is_wal_archiver: bool,
    parameters: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Storage {
    size: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(clippy::struct_field_names, reason = "the operator's names")]
struct Affinity {
    enable_pod_anti_affinity: bool,
    pod_anti_affinity_type: AntiAffinity,
    topology_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum AntiAffinity {
    Preferred,
    Required,
}
