//! Backups: CloudNativePG's `ScheduledBackup`, and the `ObjectStore` of its plugin for Barman, `barmancloud.cnpg.io/v1`.

#![expect(dead_code, reason = "reading the fields is the check")]

use serde::Deserialize;

use super::Named;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ScheduledBackup {
    schedule: String,
    cluster: Named,
    method: Method,
    plugin_configuration: Named,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
enum Method {
    BarmanObjectStore,
    VolumeSnapshot,
    Plugin,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ObjectStore {
    retention_policy: String,
    configuration: Configuration,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Configuration {
    destination_path: String,
    #[serde(rename = "endpointURL")]
    endpoint_url: Option<String>,
    s3_credentials: Credentials,
    wal: Files,
    data: Files,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Credentials {
    access_key_id: Key,
    secret_access_key: Key,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    key: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Files {
    compression: String,
}
