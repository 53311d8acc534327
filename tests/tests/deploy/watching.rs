//! Dashboards and alerts get where they are to be read.

use std::{collections::BTreeSet, fs};

use serde_json::json;
use system_tests::program;

use crate::documents::{Documents, file, read_yaml};

#[test]
fn every_dashboard_is_in_production() {
    let documents = Documents::of("production");
    let map = documents.find("ConfigMap", "holdfast-dashboards").expect("it is there");
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    let deployed: BTreeSet<_> = map["data"].as_object().expect("files").keys().cloned().collect();
    let folder = fs::read_dir(file("deploy/grafana/dashboards")).expect("it is there");
    let there: BTreeSet<_> =
        folder.map(|entry| entry.expect("a file").file_name().into_string().expect("a name")).collect();
    assert_eq!(deployed, there);
}

/// kube-prometheus-stack takes objects with the label of its release, unless told otherwise.
#[test]
fn monitors_have_the_label_that_prometheus_looks_for() {
    for overlay in ["managed", "production"] {
        let documents = Documents::of(overlay);
        let monitors: Vec<_> =
            ["ServiceMonitor", "PodMonitor"].iter().flat_map(|kind| documents.of_kind(kind)).collect();
        assert!(monitors.len() >= 3, "{overlay}");
        for monitor in monitors {
            assert_eq!(monitor["metadata"]["labels"]["release"], "kube-prometheus-stack", "{monitor}");
        }
    }
}

/// As docs/deploying.md has it.
#[test]
fn the_rules_become_an_object_of_the_prometheus_operator() {
    let page = fs::read_to_string(file("docs/deploying.md")).expect("the page is there");
    let start = page.find("{ printf").expect("the command is there");
    let (command, _) = page[start..].split_once(" | kubectl").expect("it ends in kubectl");
    let root = file(".").canonicalize().expect("the repository");
    let said = program("sh", &["-euc", &format!("cd '{}'; {command}", root.display())]);
    assert!(said.success && said.errors.is_empty(), "{said:?}");
    let rules = fs::read_to_string(file("deploy/prometheus/rules.yml")).expect("they are there");
    let wanted = json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": { "name": "holdfast", "labels": { "release": "kube-prometheus-stack" } },
        "spec": read_yaml(&rules)[0],
    });
    assert_eq!(read_yaml(&said.output), [wanted]);
}
