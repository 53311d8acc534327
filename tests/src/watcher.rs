//! The committed Prometheus configuration, rules and dashboards, and a Prometheus that watches a stack by them.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use stack::{Prometheus, ServiceKind, Stack};

/// A path of the repository.
#[must_use]
pub fn in_repository(path: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(path)
}

/// The text of a file of the repository.
#[must_use]
pub fn repository_text(path: &str) -> String {
    fs::read_to_string(in_repository(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names and queries of the dashboards' panels: (dashboard and panel, query).
#[must_use]
pub fn dashboard_queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for entry in fs::read_dir(in_repository("deploy/grafana/dashboards")).expect("there are dashboards") {
        let path = entry.expect("the folder can be read").path();
        let text = fs::read_to_string(&path).expect("a dashboard can be read");
        let dashboard: Value = serde_json::from_str(&text).expect("a dashboard is JSON");
        for panel in dashboard["panels"].as_array().expect("it has panels") {
            let name = format!("{}: {}", dashboard["title"], panel["title"]);
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().expect("a target has a query");
                queries.push((name.clone(), query.replace("$__rate_interval", "1m")));
            }
        }
    }
    queries
}

/// A Prometheus that watches a stack: by the committed configuration and rules, with the addresses of the stack, a look each
/// second, and alerts that fire at once instead of after a while.
#[derive(Debug)]
pub struct Watcher(Prometheus);

impl Watcher {
    /// Starts it.
    #[must_use]
    pub fn start(stack: &Stack) -> Self {
        let mut config = repository_text("deploy/prometheus/prometheus.yml").replace("15s", "1s");
        for kind in ServiceKind::ALL {
            let name = kind.name();
            let by_dns = format!(
                "    dns_sd_configs:\n      - names: [{name}]\n        type: A\n        port: 8080\n"
            );
            assert!(config.contains(&by_dns), "{name} is not scraped as this test knows it:\n{config}");
            let targets: Vec<String> = stack
                .services()
                .iter()
                .filter(|service| service.kind() == kind)
                .map(|service| service.http_url().replace("http://", ""))
                .collect();
            let fixed = format!("    static_configs:\n      - targets: [\"{}\"]\n", targets.join("\", \""));
            config = config.replace(&by_dns, &fixed);
        }
        let rules = repository_text("deploy/prometheus/rules.yml");
        let at_once = |line: &str| {
            if line.trim().starts_with("for: ") { "        for: 0s".to_owned() } else { line.to_owned() }
        };
        let rules: Vec<String> = rules.lines().map(at_once).collect();
        let files = [("prometheus.yml", config), ("rules.yml", rules.join("\n") + "\n")];
        Self(Prometheus::start(stack.home(), &files).expect("Prometheus starts"))
    }

    /// What its API answers, if it is a success.
    pub fn ask(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let parameters: Vec<String> =
            parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let answer = self.0.get(&format!("/api/v1/{path}?{}", parameters.join("&")));
        let answer = answer.map_err(|error| format!("{error:#}"))?;
        let mut json: Value = serde_json::from_str(&answer.body).map_err(|error| error.to_string())?;
        if json["status"] == "success" { Ok(json["data"].take()) } else { Err(json.to_string()) }
    }

    /// Answers of its API that are lists of texts.
    pub fn texts(&self, path: &str, parameters: &[(&str, &str)]) -> Result<BTreeSet<String>, String> {
        let list = self.ask(path, parameters)?;
        let list = list.as_array().ok_or("no list")?.iter();
        Ok(list.filter_map(|text| text.as_str().map(str::to_owned)).collect())
    }

    /// All rules.
    pub fn rules(&self) -> Result<Vec<Value>, String> {
        let groups = self.ask("rules", &[])?["groups"].take();
        let groups = groups.as_array().ok_or("no groups")?;
        Ok(groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect())
    }

    /// The alerts that fire, without those of the objectives: on a machine with much else to do calls may well be slow.
    pub fn firing(&self) -> Result<Vec<Value>, String> {
        let alerts = self.ask("alerts", &[])?["alerts"].take();
        let mut alerts = alerts.as_array().ok_or("no alerts")?.clone();
        alerts.retain(|alert| {
            let name = alert["labels"]["alertname"].as_str().unwrap_or_default();
            alert["state"] == "firing" && !name.contains("Burns")
        });
        Ok(alerts)
    }
}
