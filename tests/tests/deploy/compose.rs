//! The compose file: every part, wired as the programs read it, with images that have tags and files that are there.

use std::fs;

use serde_json::Value;

use crate::{
    documents::{file, list, read_yaml, text},
    programs::help,
};

fn compose() -> Value {
    let yaml = fs::read_to_string(file("deploy/compose.yaml")).expect("it is there");
    read_yaml(&yaml).remove(0)
}

fn services(compose: &Value) -> impl Iterator<Item = (&String, &Value)> {
    compose["services"].as_object().expect("services").iter()
}

/// Those that run one of our programs, with its name.
fn ours(compose: &Value) -> impl Iterator<Item = (&String, &Value, &str)> {
    let all = services(compose).filter(|(_, service)| text(&service["image"]).starts_with("holdfast"));
    all.map(|(name, service)| (name, service, text(&service["command"][0])))
}

#[test]
fn every_part_is_there_and_runs_an_image_that_has_a_tag() {
    let compose = compose();
    let parts: Vec<_> = services(&compose).map(|(name, _)| name.as_str()).collect();
    for part in
        ["postgres", "rabbitmq", "catalog", "reservation", "expirer", "prometheus", "grafana", "jaeger"]
    {
        assert!(parts.contains(&part), "{part} is missing");
    }
    for (name, service) in services(&compose) {
        let (_, tag) =
            text(&service["image"]).rsplit_once(':').unwrap_or_else(|| panic!("{name} has no tag"));
        assert!(!tag.is_empty() && tag != "latest", "{name}");
    }
}

#[test]
fn programs_get_variables_and_commands_that_they_know() {
    let compose = compose();
    assert!(ours(&compose).count() >= 5);
    for (name, service, program) in ours(&compose) {
        let help = help(program).unwrap_or_else(|| panic!("{name} runs {program}, which does not exist"));
        for word in list(&service["command"]).iter().skip(1).map(text) {
            assert!(help.has_command(word), "{name}: {word}");
        }
        for variable in service["environment"].as_object().expect("variables").keys() {
            assert!(help.has_variable(variable), "{name}: {variable}");
        }
        for word in list(&service["healthcheck"]["test"]).iter().skip(2).map(text) {
            assert!(help.has_command(word), "{name}: {word}");
        }
    }
}

#[test]
fn programs_may_do_no_more_than_they_must() {
    let compose = compose();
    for (name, service, _) in ours(&compose) {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert!(list(&service["security_opt"]).contains(&"no-new-privileges:true".into()), "{name}");
    }
}

/// Nothing has authentication: nothing is reached from other machines.
#[test]
fn ports_are_published_on_loopback_only_and_once() {
    let compose = compose();
    let mut published = Vec::new();
    for (name, service) in services(&compose) {
        for port in list(&service["ports"]).iter().map(text) {
            let (host, _) = port
                .strip_prefix("127.0.0.1:")
                .and_then(|rest| rest.split_once(':'))
                .unwrap_or_else(|| panic!("{name}: {port}"));
            assert!(!published.contains(&host.to_owned()), "{name}: {port} is taken");
            published.push(host.to_owned());
        }
    }
}

#[test]
fn what_is_mounted_named_or_waited_for_is_there() {
    let compose = compose();
    for (name, service) in services(&compose) {
        for mount in list(&service["volumes"]).iter().map(text) {
            let source = mount.split(':').next().unwrap_or_default();
            match source.strip_prefix("./") {
                Some(path) => assert!(file("deploy").join(path).exists(), "{name}: {source}"),
                None => assert!(compose["volumes"].get(source).is_some(), "{name}: {source}"),
            }
        }
        for (other, condition) in service["depends_on"].as_object().into_iter().flatten() {
            let other = &compose["services"][other];
            assert!(!other.is_null(), "{name} waits for nobody");
            if condition["condition"] == "service_healthy" {
                assert!(!other["healthcheck"].is_null(), "{name} waits for health that nobody checks");
            }
        }
    }
}

/// `http://NAME:PORT` in the variables leads to a part, at the port where it listens.
#[test]
fn parts_find_each_other() {
    let compose = compose();
    for (name, service, _) in ours(&compose) {
        for (variable, value) in service["environment"].as_object().expect("variables") {
            let Some((host, port)) = text(value)
                .rsplit_once('@')
                .map_or(text(value), |(_, rest)| rest)
                .trim_start_matches("http://")
                .split_once(':')
            else {
                continue;
            };
            let port = port.split('/').next().unwrap_or_default();
            if ["127.0.0.1", "0.0.0.0"].contains(&host) {
                continue;
            }
            assert!(!compose["services"][host].is_null(), "{name}: {variable}={value}");
            let known = match host {
                "postgres" => "5432",
                "rabbitmq" => "5672",
                "jaeger" => "4317",
                _ => "50051",
            };
            assert_eq!(port, known, "{name}: {variable}={value}");
        }
    }
}
