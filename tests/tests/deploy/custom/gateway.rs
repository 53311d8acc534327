//! Gateway API: `gateway.networking.k8s.io/v1`.

#![expect(dead_code, reason = "reading the fields is the check")]

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Gateway {
    gateway_class_name: String,
    listeners: Vec<Listener>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Listener {
    name: String,
    hostname: String,
    protocol: String,
    port: u16,
    tls: Tls,
    allowed_routes: AllowedRoutes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Tls {
    mode: TlsMode,
    certificate_refs: Vec<Certificate>,
}

#[derive(Deserialize)]
enum TlsMode {
    Terminate,
    Passthrough,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Certificate {
    kind: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedRoutes {
    namespaces: Namespaces,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Namespaces {
    from: From,
}

#[derive(Deserialize)]
enum From {
    Same,
    All,
    Selector,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Parent {
    name: String,
    section_name: String,
}

/// Kubernetes fills in the first two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backend {
    group: Option<String>,
    kind: Option<String>,
    name: String,
    port: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct HttpRoute {
    parent_refs: Vec<Parent>,
    hostnames: Vec<String>,
    rules: Vec<HttpRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct HttpRule {
    matches: Vec<HttpMatch>,
    filters: Option<Vec<Filter>>,
    timeouts: Timeouts,
    backend_refs: Vec<Backend>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    #[serde(rename = "type")]
    kind: FilterKind,
    url_rewrite: Rewrite,
}

#[derive(Deserialize)]
enum FilterKind {
    #[serde(rename = "URLRewrite")]
    UrlRewrite,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rewrite {
    path: Replacement,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Replacement {
    #[serde(rename = "type")]
    kind: ReplacementKind,
    replace_full_path: String,
}

#[derive(Deserialize)]
enum ReplacementKind {
    ReplaceFullPath,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpMatch {
    path: Path,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Path {
    #[serde(rename = "type")]
    kind: PathKind,
    value: String,
}

#[derive(Deserialize)]
enum PathKind {
    Exact,
    PathPrefix,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Timeouts {
    request: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GrpcRoute {
    parent_refs: Vec<Parent>,
    hostnames: Vec<String>,
    rules: Vec<GrpcRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrpcRule {
    matches: Vec<GrpcMatch>,
    backend_refs: Vec<Backend>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GrpcMatch {
    method: Method,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Method {
    #[serde(rename = "type")]
    kind: MethodKind,
    service: String,
}

#[derive(Deserialize)]
enum MethodKind {
    Exact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BackendTlsPolicy {
    target_refs: Vec<Reference>,
    validation: Validation,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Validation {
    hostname: String,
    ca_certificate_refs: Vec<Reference>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reference {
    group: String,
    kind: String,
    name: String,
}
