//! Who may open a connection to whom: the NetworkPolicies, evaluated, against a list of what is meant. What is not on the list
//! must not be possible.

use std::{collections::BTreeSet, net::Ipv4Addr};

use serde_json::{Value, json};

use crate::{
    documents::{Documents, list, text},
    rules::selects,
};

/// Somebody with labels, in our namespace or in another, or at an address.
struct Peer {
    name: &'static str,
    namespace: Option<&'static str>,
    labels: Value,
    address: Option<Ipv4Addr>,
}

fn ours(name: &'static str, app: &str, component: &str) -> Peer {
    let labels = json!({ "app.kubernetes.io/name": app, "app.kubernetes.io/component": component });
    Peer { name, namespace: None, labels, address: None }
}

fn peers() -> Vec<Peer> {
    let database = |name, cluster: &str| {
        let labels = json!({ "cnpg.io/cluster": cluster });
        Peer { name, namespace: None, labels, address: None }
    };
    let from =
        |namespace| Peer { name: namespace, namespace: Some(namespace), labels: json!({}), address: None };
    // What is no pod has no namespace that a policy could name.
    let at = |name, address: [u8; 4]| {
        let address = Some(Ipv4Addr::from(address));
        Peer { name, namespace: Some(""), labels: json!({}), address }
    };
    let dns = json!({ "k8s-app": "kube-dns" });
    vec![
        ours("catalog", "catalog", "service"),
        ours("reservation", "reservation", "service"),
        ours("expirer", "expirer", "service"),
        ours("audit", "audit", "audit"),
        ours("catalog-migration", "catalog", "migration"),
        ours("reservation-migration", "reservation", "migration"),
        ours("rabbitmq", "rabbitmq", "rabbitmq"),
        ours("stranger", "stranger", "service"),
        database("catalog-db", "catalog-db"),
        database("reservation-db", "reservation-db"),
        Peer { name: "dns", namespace: Some("kube-system"), labels: dns, address: None },
        at("node-dns", [169, 254, 20, 10]),
        at("managed-catalog-db", [192, 0, 2, 17]),
        at("managed-reservation-db", [192, 0, 2, 33]),
        at("managed-broker", [192, 0, 2, 49]),
        at("issuer", [192, 0, 2, 65]),
        at("internet", [198, 51, 100, 1]),
        from("envoy-gateway-system"),
        from("monitoring"),
        from("keda"),
        from("cnpg-system"),
        from("rabbitmq-system"),
        from("elsewhere"),
    ]
}

const PORTS: [u16; 14] =
    [53, 443, 4317, 4369, 5432, 5671, 5672, 8000, 8080, 9187, 15672, 15692, 25672, 50051];

/// Who reaches whom, at which port, in every overlay.
const ALWAYS: &str = "
    reservation catalog 50051
    expirer catalog 50051
    expirer reservation 50051
    audit catalog 50051
    audit reservation 50051";
/// And where databases and broker are in the cluster.
const WITH_DATA: &str = "
    catalog catalog-db 5432
    catalog-migration catalog-db 5432
    reservation reservation-db 5432
    reservation-migration reservation-db 5432
    reservation rabbitmq 5671
    expirer rabbitmq 5671
    rabbitmq rabbitmq 4369
    rabbitmq rabbitmq 25672
    rabbitmq-system rabbitmq 15672
    catalog-db catalog-db 5432
    catalog-db catalog-db 8000
    reservation-db reservation-db 5432
    reservation-db reservation-db 8000
    cnpg-system catalog-db 5432
    cnpg-system catalog-db 8000
    cnpg-system reservation-db 5432
    cnpg-system reservation-db 8000";
/// And where there is a world around it.
const IN_PRODUCTION: &str = "
    envoy-gateway-system catalog 50051
    envoy-gateway-system catalog 8080
    envoy-gateway-system reservation 50051
    envoy-gateway-system reservation 8080
    monitoring catalog 8080
    monitoring reservation 8080
    monitoring expirer 8080
    catalog issuer 443
    reservation issuer 443
    catalog monitoring 4317
    reservation monitoring 4317
    expirer monitoring 4317";
/// And where both are.
const PRODUCTION_WITH_DATA: &str = "
    monitoring catalog-db 9187
    monitoring reservation-db 9187
    monitoring rabbitmq 15692
    keda rabbitmq 15672";
/// And where somebody else runs the servers.
const WITH_MANAGED: &str = "
    catalog managed-catalog-db 5432
    catalog-migration managed-catalog-db 5432
    reservation managed-reservation-db 5432
    reservation-migration managed-reservation-db 5432
    reservation managed-broker 5671
    expirer managed-broker 5671";

/// Whether the policies let `one` talk to `other` in this direction.
fn allows(documents: &Documents, direction: &str, one: &Peer, other: &Peer, port: u16) -> bool {
    let (kind, field) = if direction == "from" { ("Ingress", "ingress") } else { ("Egress", "egress") };
    let policies: Vec<_> = documents
        .of_kind("NetworkPolicy")
        .map(|policy| &policy["spec"])
        .filter(|spec| {
            selects(&spec["podSelector"], &one.labels) && list(&spec["policyTypes"]).contains(&json!(kind))
        })
        .collect();
    one.namespace.is_some()
        || policies.is_empty()
        || policies.iter().flat_map(|spec| list(&spec[field])).any(|rule| {
            let at = list(&rule["ports"]).iter().any(|allowed| allowed["port"] == port);
            at && list(&rule[direction]).iter().any(|peer| takes(peer, other))
        })
}

/// Whether a peer of a policy takes this one. A block of all addresses takes anybody, another what is known to be in it.
fn takes(peer: &Value, other: &Peer) -> bool {
    if !peer["ipBlock"].is_null() {
        let (block, bits) = text(&peer["ipBlock"]["cidr"]).split_once('/').expect("a block of addresses");
        let mask = u32::MAX.checked_shl(32 - bits.parse::<u32>().expect("a length")).unwrap_or_default();
        let block = block.parse::<Ipv4Addr>().expect("an address").to_bits();
        return mask == 0 || other.address.is_some_and(|address| address.to_bits() & mask == block & mask);
    }
    let namespace = match (&peer["namespaceSelector"], other.namespace) {
        (Value::Null, None) => true,
        (Value::Null, Some(_)) | (_, None | Some("")) => false,
        (selector, Some(name)) => selects(selector, &json!({ "kubernetes.io/metadata.name": name })),
    };
    namespace && (peer["podSelector"].is_null() || selects(&peer["podSelector"], &other.labels))
}

/// All that is possible between two of whom one is ours.
pub(crate) fn possible(documents: &Documents) -> BTreeSet<String> {
    let (peers, mut found) = (peers(), BTreeSet::new());
    for one in &peers {
        for other in &peers {
            for port in PORTS {
                if (one.namespace.is_none() || other.namespace.is_none())
                    && allows(documents, "to", one, other, port)
                    && allows(documents, "from", other, one, port)
                {
                    found.insert(format!("{} {} {port}", one.name, other.name));
                }
            }
        }
    }
    found
}

/// What is meant to be possible in an overlay.
pub(crate) fn meant(overlay: &str) -> BTreeSet<String> {
    let parts: &[&str] = match overlay {
        "production" => &[ALWAYS, WITH_DATA, IN_PRODUCTION, PRODUCTION_WITH_DATA],
        "managed" => &[ALWAYS, IN_PRODUCTION, WITH_MANAGED],
        _ => &[ALWAYS, WITH_DATA],
    };
    let lines = parts.iter().flat_map(|part| part.lines()).map(|line| line.trim().to_owned());
    let everybody = peers().into_iter().filter(|peer| peer.namespace.is_none());
    let dns = everybody.flat_map(|peer| ["dns", "node-dns"].map(|dns| format!("{} {dns} 53", peer.name)));
    // The API server, which no selector can name, and the store of backups: by port alone.
    let operated: &[&str] =
        if overlay == "managed" { &[] } else { &["catalog-db", "reservation-db", "rabbitmq"] };
    let others: Vec<_> = peers().into_iter().filter(|peer| peer.namespace.is_some()).collect();
    let world =
        operated.iter().flat_map(|one| others.iter().map(move |other| format!("{one} {} 443", other.name)));
    lines.filter(|line| !line.is_empty()).chain(dns).chain(world).collect()
}

#[test]
fn whoever_must_reach_a_part_can_and_nobody_else() {
    for overlay in crate::documents::OVERLAYS {
        let documents = Documents::of(overlay);
        let (possible, meant) = (possible(&documents), meant(overlay));
        let missing: Vec<_> = meant.difference(&possible).collect();
        let too_much: Vec<_> = possible.difference(&meant).collect();
        assert!(
            missing.is_empty() && too_much.is_empty(),
            "{overlay}: missing {missing:?}, too much {too_much:?}"
        );
    }
}

/// The evaluation above takes policies for allowances: so the first must be one that allows nothing.
#[test]
fn everything_is_denied_that_no_policy_allows() {
    for overlay in crate::documents::OVERLAYS {
        let documents = Documents::of(overlay);
        let spec = &documents.find("NetworkPolicy", "default-deny").expect("it is there")["spec"];
        assert_eq!(*spec, json!({ "podSelector": {}, "policyTypes": ["Ingress", "Egress"] }));
        let spaces: BTreeSet<_> = documents.0.iter().map(|one| text(&one["metadata"]["namespace"])).collect();
        assert_eq!(spaces.len(), 2, "all but the namespace itself are in one: {spaces:?}");
    }
}
