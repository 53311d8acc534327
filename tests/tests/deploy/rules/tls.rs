//! TLS: everybody who is called shows a certificate, and everybody who calls checks it; and says who they are.

use serde_json::Value;

use super::wiring::variables;
use crate::documents::{Documents, Workload, list, name, text};

/// Where a file stands in a pod: the Secret that it is mounted from, whole and not by subPath, and its key.
fn mounted<'a>(workload: &Workload<'a>, container: &'a Value, path: &str) -> Option<(&'a str, String)> {
    let (folder, file) = path.rsplit_once('/')?;
    let mount = list(&container["volumeMounts"])
        .iter()
        .find(|mount| text(&mount["mountPath"]) == folder && mount["subPath"].is_null())?;
    let volume = list(&workload.pod()["volumes"]).iter().find(|volume| volume["name"] == mount["name"])?;
    Some((text(&volume["secret"]["secretName"]), file.to_owned()))
}

/// The certificate that fills this Secret.
fn certificate<'a>(documents: &'a Documents, secret: &str) -> Option<&'a Value> {
    documents.of_kind("Certificate").find(|certificate| certificate["spec"]["secretName"] == secret)
}

/// Whether the certificate in this Secret names somebody.
fn names(documents: &Documents, secret: &str, wanted: &str) -> bool {
    certificate(documents, secret)
        .is_some_and(|certificate| list(&certificate["spec"]["dnsNames"]).contains(&wanted.into()))
}

/// Every file that a variable names is mounted: the process's own certificate, its key, and who signed those of the others.
pub(crate) fn files(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.workloads() {
        for container in workload.containers() {
            for (variable, path) in variables(documents, container) {
                let wanted = match variable.as_str() {
                    name if name.ends_with("_CERT_FILE") => "tls.crt",
                    name if name.ends_with("_KEY_FILE") => "tls.key",
                    name if name.ends_with("_CA_FILE") => "ca.crt",
                    _ => continue,
                };
                let found = mounted(&workload, container, &path);
                let own = found.as_ref().is_some_and(|(secret, key)| {
                    key == wanted && *secret == format!("{}-tls", workload.name)
                });
                if !own {
                    complaints
                        .push(format!("{}: {variable} is {path}, which is not its own", workload.title()));
                }
            }
        }
    }
    complaints
}

/// Who serves does so with a certificate of its name, asks clients for theirs where they call services, and is probed by TLS.
pub(crate) fn serving(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.deployments() {
        for container in workload.containers() {
            let all = variables(documents, container);
            let has =
                |wanted: &str| all.iter().any(|(variable, value)| variable == wanted && !value.is_empty());
            let serves_grpc = list(&container["ports"]).iter().any(|port| port["name"] == "grpc");
            if !has("HOLDFAST_TLS_CERT_FILE") || serves_grpc && !has("HOLDFAST_TLS_CLIENT_CA_FILE") {
                complaints.push(format!("{}: serves without TLS", workload.title()));
            }
            for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
                if container[probe]["httpGet"]["scheme"] != "HTTPS" {
                    complaints.push(format!("{}: {probe} asks without TLS", workload.title()));
                }
            }
            if !names(documents, &format!("{}-tls", workload.name), workload.name) {
                complaints.push(format!("{}: no certificate names it", workload.title()));
            }
        }
    }
    for service in documents.of_kind("Service") {
        let owner = name(service).trim_end_matches("-pods");
        if !names(documents, &format!("{owner}-tls"), name(service)) {
            complaints.push(format!("Service {}: its pods' certificate does not name it", name(service)));
        }
        for port in list(&service["spec"]["ports"]) {
            if port["appProtocol"] != "https" {
                complaints.push(format!("Service {}: {port} is said to be without TLS", name(service)));
            }
        }
    }
    complaints
}

/// Whoever calls is asked who they are: by an issuer's keys, or, a part of Holdfast, by the certificate that it shows.
pub(crate) fn callers(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.deployments() {
        for container in workload.containers() {
            let all = variables(documents, container);
            let value = |wanted: &str| {
                all.iter().find(|(variable, _)| variable == wanted).map_or("", |(_, value)| value.as_str())
            };
            if !list(&container["ports"]).iter().any(|port| port["name"] == "grpc") {
                continue;
            }
            let keys = value("HOLDFAST_AUTH_JWKS");
            let found = keys.starts_with("https://")
                || keys.rsplit_once('/').is_some_and(|(folder, _)| {
                    list(&container["volumeMounts"]).iter().any(|mount| mount["mountPath"] == folder)
                });
            let named =
                ["HOLDFAST_AUTH_ISSUER", "HOLDFAST_AUTH_AUDIENCE"].iter().all(|name| !value(name).is_empty());
            if value("HOLDFAST_AUTH") != "on" || !found || !named {
                complaints.push(format!("{}: takes anybody", workload.title()));
            }
            let services: Vec<_> = value("HOLDFAST_SERVICE_NAMES").split(',').collect();
            for caller in callers_of(documents, workload.name) {
                if !services.contains(&caller) || !names(documents, &format!("{caller}-tls"), caller) {
                    complaints.push(format!("{}: does not know {caller}", workload.title()));
                }
            }
            for known in services {
                if !callers_of(documents, workload.name).contains(&known) {
                    complaints.push(format!("{}: knows {known}, which does not call it", workload.title()));
                }
            }
        }
    }
    complaints
}

/// The workloads that call this one.
fn callers_of<'a>(documents: &'a Documents, called: &str) -> Vec<&'a str> {
    let url = format!("HOLDFAST_{}_URL", called.to_uppercase());
    let calls = |workload: &Workload<'a>| {
        workload
            .containers()
            .any(|container| variables(documents, container).iter().any(|(variable, _)| *variable == url))
    };
    documents.workloads().filter(calls).map(|workload| workload.name).collect()
}

/// Calls to services, databases and broker go by TLS, and check who answers.
pub(crate) fn calling(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for workload in documents.workloads() {
        for container in workload.containers() {
            let all = variables(documents, container);
            let has = |wanted: &str| all.iter().any(|(variable, _)| variable == wanted);
            let migrates = has("HOLDFAST_MIGRATE_URL");
            for (variable, value) in all.iter().filter(|(_, value)| !value.is_empty()) {
                let holds = match variable.as_str() {
                    "HOLDFAST_CATALOG_URL" | "HOLDFAST_RESERVATION_URL" => {
                        value.starts_with("https://")
                            && ["CA", "CERT", "KEY"]
                                .iter()
                                .all(|part| has(&format!("HOLDFAST_CALLS_{part}_FILE")))
                    }
                    "HOLDFAST_AMQP_URL" => value.starts_with("amqps://") && has("HOLDFAST_AMQP_CA_FILE"),
                    // A migration only gives rights to that user.
                    "HOLDFAST_DATABASE_URL" if migrates => true,
                    "HOLDFAST_DATABASE_URL" | "HOLDFAST_MIGRATE_URL" => {
                        let authority =
                            value.split("sslrootcert=").nth(1).and_then(|rest| rest.split('&').next());
                        let known = authority.and_then(|path| mounted(&workload, container, path));
                        value.contains("?sslmode=verify-full&")
                            && known
                                .is_some_and(|(secret, key)| secret.ends_with("-db-ca") && key == "ca.crt")
                    }
                    _ => true,
                };
                if !holds {
                    complaints.push(format!("{}: {variable} goes without TLS: {value}", workload.title()));
                }
            }
        }
    }
    complaints.extend(outside(documents));
    complaints
}

/// The gateway and Prometheus.
fn outside(documents: &Documents) -> Vec<String> {
    let mut complaints = Vec::new();
    for kind in ["GRPCRoute", "HTTPRoute"] {
        let rules = documents.of_kind(kind).flat_map(|route| list(&route["spec"]["rules"]));
        for backend in rules.flat_map(|rule| list(&rule["backendRefs"])).map(|backend| text(&backend["name"]))
        {
            let policy = documents.of_kind("BackendTLSPolicy").find(|policy| {
                list(&policy["spec"]["targetRefs"]).iter().any(|target| target["name"] == backend)
            });
            let hostname =
                policy.map(|policy| text(&policy["spec"]["validation"]["hostname"])).unwrap_or_default();
            if !names(documents, &format!("{backend}-tls"), hostname) {
                complaints.push(format!("{kind}: {backend} is called without TLS, or by another name"));
            }
        }
    }
    for monitor in documents.of_kind("ServiceMonitor").filter(|monitor| name(monitor) != "rabbitmq") {
        for endpoint in list(&monitor["spec"]["endpoints"]) {
            let named = text(&endpoint["tlsConfig"]["serverName"]);
            let secret = text(&endpoint["tlsConfig"]["ca"]["secret"]["name"]);
            if endpoint["scheme"] != "https" || !names(documents, secret, named) || named != name(monitor) {
                complaints.push(format!("ServiceMonitor {}: asks without TLS", name(monitor)));
            }
        }
    }
    complaints
}
