//! Alerts and dashboards: rules that are right, names that exist, and a Prometheus that sees it when expiry stops.

use std::{collections::BTreeSet, time::Duration};

use proto::catalog::SeatState;
use system_tests::{
    Outcome, PATIENCE, Stock, Watcher, World, dashboard_queries, eventually, hasty, in_repository, own,
    program, promql, repository_text, seat, units, when,
};
use tokio::task::block_in_place;

const RULES: &str = "deploy/prometheus/rules.yml";
const TESTS: [&str; 2] = ["deploy/prometheus/rules.test.yml", "deploy/prometheus/slow.test.yml"];
const SECTIONS: [&str; 5] =
    ["What it means", "Who suffers", "How to see more", "What to do", "When it is over"];

/// The values behind a key, wherever it stands in a file of ours: one each line.
fn values(text: &str, key: &str) -> Vec<String> {
    let value = |line: &str| Some(line.trim_start_matches([' ', '-']).strip_prefix(key)?.trim().to_owned());
    text.lines().filter_map(value).collect()
}

fn promtool(arguments: &[&str]) {
    let said = program("promtool", arguments);
    assert!(said.success, "promtool {arguments:?}: {}{}", said.output, said.errors);
}

fn path_of(file: &str) -> String {
    in_repository(file).canonicalize().expect("it is there").to_string_lossy().into_owned()
}

#[test]
fn promtool_accepts_configuration_and_rules() {
    promtool(&["check", "config", &path_of("deploy/prometheus/prometheus.yml")]);
    promtool(&["check", "rules", &path_of(RULES)]);
}

#[test]
fn each_alert_fires_when_it_should_and_is_silent_when_it_should_not() {
    promtool(&["test", "rules", &path_of(TESTS[0]), &path_of(TESTS[1])]);
    let tests = TESTS.map(repository_text).join("\n");
    let mut tried = BTreeSet::new();
    let mut alert = "";
    for line in tests.lines().map(str::trim) {
        if let Some((_, name)) = line.split_once("ALERTS{alertname=\"") {
            alert = name.split('"').next().unwrap_or_default();
        } else if line.starts_with("exp_samples:") {
            tried.insert((alert, line == "exp_samples: []"));
        }
    }
    for alert in values(&repository_text(RULES), "alert: ") {
        assert!(tried.contains(&(&*alert, false)), "no test has {alert} fire");
        assert!(tried.contains(&(&*alert, true)), "no test has {alert} keep silent");
    }
}

/// Metrics that are for queries by hand.
const NOT_SHOWN: [&str; 2] = ["target_info", "holdfast_process_start_timestamp_seconds"];

#[test]
fn every_metric_is_on_a_dashboard_or_in_an_alert() {
    let queries: Vec<String> = dashboard_queries().into_iter().map(|(_, query)| query).collect();
    let watched = queries.join("\n") + &repository_text(RULES);
    let page = repository_text("docs/metrics.md");
    let metrics: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(metrics.len() > 40, "{metrics:?}");
    let unwatched: Vec<&&str> =
        metrics.iter().filter(|metric| !watched.contains(**metric) && !NOT_SHOWN.contains(metric)).collect();
    assert!(unwatched.is_empty(), "{unwatched:?}");
}

#[test]
fn each_alert_has_a_runbook_that_says_what_to_do() {
    let rules = repository_text(RULES);
    let (alerts, runbooks) = (values(&rules, "alert: "), values(&rules, "runbook_url: "));
    let severities: BTreeSet<String> = values(&rules, "severity: ").into_iter().collect();
    assert_eq!(severities, ["page", "ticket"].map(str::to_owned).into());
    for key in ["severity: ", "summary: ", "description: ", "runbook_url: "] {
        assert_eq!(values(&rules, key).len(), alerts.len(), "each alert has its {key}");
    }
    let list = repository_text("docs/runbooks/README.md");
    for (alert, path) in alerts.iter().zip(&runbooks) {
        let runbook = repository_text(path);
        assert!(runbook.contains(&format!("`{alert}`")), "{path} does not name {alert}");
        assert!(list.contains(&format!("`{alert}`")), "docs/runbooks/README.md does not name {alert}");
        let sections: Vec<String> = values(&runbook, "## ");
        assert_eq!(sections, SECTIONS, "{path}");
    }
}

/// Everything that is counted has happened once: holds that are paid, cancelled, paid back, refused and run out, and an audit.
async fn happen(world: &World) -> Outcome {
    let meal = world.product(10, Duration::from_mins(10)).await;
    let quick = world.product(10, Duration::from_millis(1_500)).await;
    let flight = world.seat_map(&["1A"], Duration::from_mins(10)).await;
    let paid = world.hold(&[units(&meal, 1), seat(&flight, "1A")]).await?.booking_id;
    world.pay(&paid).await?;
    world.refund(&paid).await?;
    let cancelled = world.hold(&[units(&meal, 1)]).await?.booking_id;
    world.cancel(&cancelled).await?;
    let draft = world.draft(&[units(&meal, 1)]).await?.booking_id;
    world.hold_draft(&draft).await?;
    world.get(&draft).await?;
    world.hold(&[units(&meal, 100)]).await.expect_err("there are not so many");
    world.hold(&[units(&quick, 2)]).await?;
    world.await_stock(&quick, Stock::new(10, 0, 0)).await;
    world.await_seats(&flight, &[SeatState::Free]).await;
    world.assert_rules_hold().await;
    Ok(())
}

/// What is wrong with a query, if anything.
fn complaint(watcher: &Watcher, query: &str) -> Result<(), String> {
    watcher.ask("query", &[("query", query)])?;
    let metrics = watcher.texts("label/__name__/values", &[])?;
    let promql::Names { selectors, grouped } = promql::names(query);
    let mut known = BTreeSet::new();
    for promql::Selector { metric, matchers } in selectors {
        if !metrics.contains(&metric) {
            return Err(format!("there is no metric {metric}"));
        }
        let labels = watcher.texts("labels", &[("match[]", &metric)])?;
        for (label, operator, value) in matchers {
            if !labels.contains(&label) {
                return Err(format!("{metric} has no label {label}"));
            }
            // Which codes and failures there were is a matter of luck.
            let of_luck = ["code", "outcome", "kind"].contains(&&*label);
            let path = format!("label/{label}/values");
            if operator == "=" && !of_luck && !watcher.texts(&path, &[("match[]", &metric)])?.contains(&value)
            {
                return Err(format!("{label} of {metric} is never {value}"));
            }
        }
        known.extend(labels);
    }
    let unknown: Vec<&String> = grouped.difference(&known).collect();
    if unknown.is_empty() { Ok(()) } else { Err(format!("no metric has the labels {unknown:?}")) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_prometheus_knows_every_name_and_sees_it_when_expiry_stops() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let watcher = block_in_place(|| Watcher::start(&stack));
    happen(&world).await?;

    eventually("all rules are evaluated, and nothing fires", PATIENCE, async || {
        block_in_place(|| {
            let rules = watcher.rules()?;
            let sick: Vec<_> = rules.iter().filter(|rule| rule["health"] != "ok").collect();
            let firing = watcher.firing()?;
            if rules.is_empty() || !sick.is_empty() || !firing.is_empty() {
                return Err(format!("{} rules, sick {sick:#?}, firing {firing:#?}", rules.len()));
            }
            Ok(())
        })
    })
    .await;

    let mut queries = dashboard_queries();
    let rules = block_in_place(|| watcher.rules()).expect("it answers");
    let texts = |rule: &serde_json::Value| {
        Some((rule["name"].as_str()?.to_owned(), rule["query"].as_str()?.to_owned()))
    };
    queries.extend(rules.iter().filter_map(texts));
    assert!(queries.len() > 100, "only {} queries were found", queries.len());
    eventually("every query names what exists", PATIENCE, async || {
        let complain = |(name, query): &(String, String)| {
            Some(format!("{name}: {}\n    {query}", complaint(&watcher, query).err()?))
        };
        let complaints: Vec<String> = block_in_place(|| queries.iter().filter_map(complain).collect());
        when(complaints.is_empty(), complaints)
    })
    .await;

    for wrong in [
        "rate(holdfast_no_such_total[1m])",
        "holdfast_part_up{path=\"broker\"}",
        "holdfast_part_up{part=\"brokers\"}",
        "max by (kind) (holdfast_part_up)",
        "max(holdfast_part_up",
    ] {
        assert!(block_in_place(|| complaint(&watcher, wrong)).is_err(), "{wrong} passes");
    }

    block_in_place(|| stack.expirer().stop());
    let fires = |name: &str, firing: &[serde_json::Value]| {
        firing
            .iter()
            .any(|alert| alert["labels"]["alertname"] == name && alert["labels"]["severity"] == "page")
    };
    eventually("it is seen that nothing expires any more", PATIENCE, async || {
        let firing = block_in_place(|| watcher.firing())?;
        let seen = fires("HoldfastExpiryLate", &firing) && fires("HoldfastServiceDown", &firing);
        when(seen, ()).map_err(|()| format!("{firing:#?}"))
    })
    .await;
    block_in_place(|| stack.expirer().restart().expect("it starts again"));
    eventually("it is seen that it does again", PATIENCE, async || {
        let firing = block_in_place(|| watcher.firing())?;
        when(firing.is_empty(), ()).map_err(|()| format!("{firing:#?}"))
    })
    .await;
    stack.assert_sound();
    Ok(())
}
