//! That each check can fail: documents that are altered to break a rule, and what the rule says then.

use serde_json::{Value, json};

use crate::{
    custom,
    documents::Documents,
    kubernetes, network, routes,
    rules::{RULES, complaints_of},
};

/// A rule; which object is altered, where (POD and CONTAINER stand for its pod's template and the first container there) and to
/// what; and what the rule must say.
type Harm = [&'static str; 5];

const HARMS: [Harm; 52] = [
    ["probes", "Deployment catalog", "CONTAINER/readinessProbe", "null", "readinessProbe"],
    ["probes", "Deployment expirer", "CONTAINER/livenessProbe/httpGet/port", r#""web""#, "livenessProbe"],
    ["probes", "Deployment catalog", "CONTAINER/livenessProbe/httpGet/path", r#""/readyz""#, "asks for more"],
    ["resources", "CronJob audit", "CONTAINER/resources/limits/cpu", "null", "limits of cpu"],
    ["memory", "Deployment catalog", "CONTAINER/resources/limits/memory", r#""512Mi""#, "2048 MiB"],
    [
        "confinement",
        "Job catalog-migration",
        "CONTAINER/securityContext/readOnlyRootFilesystem",
        "false",
        "root",
    ],
    ["confinement", "Deployment catalog", "CONTAINER/securityContext/privileged", "true", "privileged"],
    ["confinement", "Deployment catalog", "CONTAINER/securityContext/capabilities", "{}", "capabilities"],
    ["confinement", "Deployment expirer", "POD/securityContext/runAsNonRoot", "false", "may be root"],
    ["confinement", "Deployment expirer", "POD/hostNetwork", "true", "namespace of the node"],
    ["confinement", "Deployment expirer", "POD/volumes", r#"[{"hostPath": {}}]"#, "path of the node"],
    ["accounts", "Deployment expirer", "POD/serviceAccountName", r#""catalog""#, "shares the account"],
    ["accounts", "ServiceAccount audit", "/automountServiceAccountToken", "true", "mounts"],
    ["stopping", "Deployment catalog", "POD/terminationGracePeriodSeconds", "18", "18 s is too short"],
    ["stopping", "Deployment catalog", "CONTAINER/lifecycle", "null", "before its callers"],
    ["images", "Deployment catalog", "CONTAINER/image", r#""localhost:5000/holdfast""#, "no tag"],
    ["images", "Deployment catalog", "CONTAINER/image", r#""holdfast:0.0.9""#, "more than one release"],
    ["images", "Cluster catalog-db", "/spec/imageName", r#""postgresql:latest""#, "no tag"],
    ["selectors", "Service catalog", "/spec/selector", r#"{"app": "x"}"#, "Service catalog"],
    [
        "selectors",
        "NetworkPolicy audit",
        "/spec/podSelector",
        r#"{"matchLabels": {"a": "b"}}"#,
        "selects no pod",
    ],
    ["selectors", "ServiceMonitor catalog", "/spec/selector/matchLabels", "{}", "ServiceMonitor catalog"],
    ["ports", "Service catalog", "/spec/ports/0/targetPort", r#""web""#, "leads nowhere"],
    ["ports", "Deployment catalog", "CONTAINER/ports/0/containerPort", "50052", "HOLDFAST_LISTEN"],
    [
        "addresses",
        "ScaledObject expirer",
        "/spec/triggers/0/metadata/host",
        r#""http://rabbitmq:15672/""#,
        "from another namespace",
    ],
    ["addresses", "Service catalog-pods", "/spec/clusterIP", r#""10.0.0.1""#, "HOLDFAST_CATALOG_URL"],
    [
        "options",
        "Deployment catalog",
        "CONTAINER/env/1/name",
        r#""HOLDFAST_DATABASE_URI""#,
        "unknown variable",
    ],
    ["options", "Deployment catalog", "CONTAINER/command", r#"["catalog", "serv"]"#, "unknown command"],
    ["literals", "Deployment catalog", "CONTAINER/env/1/value", r#""postgres://db/catalog""#, "written down"],
    [
        "literals",
        "ScaledObject expirer",
        "/spec/triggers/0/metadata/host",
        r#""http://me:x@h/""#,
        "a password",
    ],
    [
        "references",
        "Deployment catalog",
        "CONTAINER/env/0/valueFrom/secretKeyRef/key",
        r#""url""#,
        "nobody makes",
    ],
    [
        "references",
        "Certificate api-holdfast-tls",
        "/spec/secretName",
        r#""other""#,
        "nobody makes tls.key of api-holdfast-tls",
    ],
    [
        "references",
        "ObjectStore catalog-db",
        "/spec/configuration/s3Credentials/accessKeyId/key",
        r#""id""#,
        "nobody makes id of backup-store",
    ],
    ["disruption", "PodDisruptionBudget catalog", "/spec/maxUnavailable", "2", "2 of 2 may go"],
    ["targets", "Deployment catalog", "/spec/replicas", "2", "undo its scaling"],
    ["targets", "ScaledObject expirer", "/spec/minReplicaCount", "0", "from how many"],
    [
        "connections",
        "HorizontalPodAutoscaler reservation",
        "/spec/maxReplicas",
        "30",
        "connections may be wanted",
    ],
    [
        "spread",
        "Cluster catalog-db",
        "/spec/affinity/topologyKey",
        r#""topology.kubernetes.io/zone""#,
        "one node",
    ],
    ["spread", "RabbitmqCluster rabbitmq", "/spec/override/statefulSet", "null", "one node"],
    [
        "files",
        "Deployment catalog",
        "CONTAINER/volumeMounts/0/subPath",
        r#""tls.crt""#,
        "HOLDFAST_TLS_CERT_FILE",
    ],
    ["files", "Deployment expirer", "POD/volumes/0/secret/secretName", r#""catalog-tls""#, "not its own"],
    ["serving", "Deployment catalog", "CONTAINER/livenessProbe/httpGet/scheme", "null", "asks without TLS"],
    ["serving", "Certificate catalog-tls", "/spec/dnsNames", r#"["catalog"]"#, "Service catalog-pods"],
    ["serving", "Deployment expirer", "CONTAINER/envFrom", "[]", "serves without TLS"],
    [
        "calling",
        "Deployment catalog",
        "CONTAINER/env/1/value",
        r#""postgres://catalog:$(DATABASE_PASSWORD)@catalog-db-rw:5432/catalog""#,
        "HOLDFAST_DATABASE_URL",
    ],
    ["calling", "BackendTLSPolicy catalog", "/spec/validation/hostname", r#""reservation""#, "another name"],
    ["calling", "ServiceMonitor expirer", "/spec/endpoints/0/scheme", "null", "ServiceMonitor expirer"],
    ["callers", "Deployment catalog", "CONTAINER/envFrom", "[]", "takes anybody"],
    ["callers", "Certificate expirer-tls", "/spec/dnsNames", r#"["other"]"#, "does not know expirer"],
    ["callers", "CronJob audit", "CONTAINER/envFrom", "[]", "knows audit, which does not call it"],
    ["rates", "Deployment reservation", "CONTAINER/envFrom", "[]", "as often as it likes"],
    ["backups", "ScheduledBackup catalog-db", "/spec/cluster/name", r#""other""#, "Cluster catalog-db"],
    ["backups", "Cluster reservation-db", "/spec/plugins", "[]", "Cluster reservation-db"],
];

fn object<'a>(documents: &'a mut Documents, title: &str) -> &'a mut Value {
    let (kind, name) = title.split_once(' ').expect("a kind and a name");
    documents.alter(kind, name)
}

/// The production overlay, altered.
fn harmed([_, title, place, value, _]: Harm) -> Documents {
    let mut documents = Documents::of("production");
    let object = object(&mut documents, title);
    let template =
        if object["kind"] == "CronJob" { "/spec/jobTemplate/spec/template" } else { "/spec/template" };
    let place = place.replace("CONTAINER", "POD/containers/0").replace("POD", &format!("{template}/spec"));
    let (parent, field) = place.rsplit_once('/').expect("a place in it");
    let parent = object.pointer_mut(parent).unwrap_or_else(|| panic!("{title} has no {parent}"));
    parent[field] = serde_json::from_str(value).expect("JSON");
    documents
}

#[test]
fn every_rule_complains_of_what_breaks_it() {
    for harm in HARMS {
        let complaints = complaints_of(harm[0], &harmed(harm));
        assert!(complaints.iter().any(|complaint| complaint.contains(harm[4])), "{harm:?}: {complaints:?}");
    }
    for (rule, _) in RULES {
        assert!(HARMS.iter().any(|harm| harm[0] == rule), "nothing breaks {rule}");
    }
}

#[test]
fn a_secret_that_is_written_down_is_seen() {
    let mut documents = Documents::of("production");
    documents.0.push(json!({ "kind": "Secret", "metadata": { "name": "mine" } }));
    assert_eq!(complaints_of("literals", &documents), ["Secret mine is written down"]);
}

/// What is possible and not meant, or meant and not possible.
fn difference(documents: &Documents) -> Vec<String> {
    network::possible(documents).symmetric_difference(&network::meant("production")).cloned().collect()
}

#[test]
fn a_policy_that_allows_too_much_or_too_little_is_seen() {
    let peers = "/spec/ingress/0/from";
    let open = harmed(["", "NetworkPolicy catalog", peers, r#"[{"podSelector": {}}]"#, ""]);
    assert!(difference(&open).is_empty(), "the other side still denies it");
    let mut denying_nothing = open;
    denying_nothing
        .0
        .retain(|one| !["default-deny", "dns"].iter().any(|name| one["metadata"]["name"] == *name));
    assert!(difference(&denying_nothing).contains(&"stranger catalog 50051".to_owned()));

    let world = harmed(["", "NetworkPolicy metrics", peers, r#"[{"namespaceSelector": {}}]"#, ""]);
    assert!(difference(&world).contains(&"elsewhere catalog 8080".to_owned()));
    let closed = harmed(["", "NetworkPolicy expirer", "/spec/egress", "[]", ""]);
    assert!(difference(&closed).contains(&"expirer reservation 50051".to_owned()));
}

#[test]
fn a_field_that_kubernetes_or_an_operator_does_not_know_is_seen() {
    for (title, place, value) in [
        ("Deployment catalog", "CONTAINER/readOnlyRootFilesystem", "true"),
        ("PodDisruptionBudget catalog", "/spec/maxUnavailable", "[1]"),
        ("HorizontalPodAutoscaler catalog", "/spec/minReplica", "1"),
    ] {
        let complaints = kubernetes::judge(&harmed(["", title, place, value, ""]), "1.30");
        assert!(complaints.len() == 1 && complaints[0].starts_with(title), "{title}: {complaints:?}");
    }
    for (title, place, value) in [
        ("ScaledObject expirer", "/spec/minReplicas", "1"),
        ("Cluster catalog-db", "/spec/postgresql/parameters/max_connections", "200"),
        ("RabbitmqCluster rabbitmq", "/spec/rabbitmq/additionalConfigs", r#""""#),
        ("GRPCRoute catalog", "/apiVersion", r#""gateway.networking.k8s.io/v1alpha2""#),
    ] {
        let complaints = custom::complaints(&harmed(["", title, place, value, ""]));
        assert!(complaints.len() == 1 && complaints[0].starts_with(title), "{title}: {complaints:?}");
    }
}

#[test]
fn a_route_that_takes_everything_is_seen() {
    let open = harmed(["", "HTTPRoute catalog", "/spec/rules/0/matches", "[]", ""]);
    assert_eq!(routes::over_http(&open, "/metrics"), ["catalog"]);
}
