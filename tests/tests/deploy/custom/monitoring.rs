//! The Prometheus operator: `monitoring.coreos.com/v1`.

#![expect(dead_code, reason = "reading the fields is the check")]

use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ServiceMonitor {
    job_label: String,
    selector: Value, // core
    endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct PodMonitor {
    selector: Value, // core
    pod_metrics_endpoints: Vec<Endpoint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Endpoint {
    port: String,
    path: Option<String>,
    interval: String,
    scrape_timeout: Option<String>,
    scheme: Option<Scheme>,
    tls_config: Option<Tls>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Scheme {
    Http,
    Https,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tls {
    server_name: String,
    ca: Authority,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Authority {
    secret: Key,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    name: String,
    key: String,
}
