//! What every program can do beside serving: version, healthcheck, check-config, and a help that tells it all.

use std::{
    net::TcpListener,
    path::Path,
    process::{Child, Command, Stdio},
};

use stack::{Pki, Service, ServiceKind, binary};
use system_tests::{PATIENCE, Said, eventually, program_with, shared};

/// Runs a program of Holdfast's to its end, with this environment and no other of its variables.
fn run(kind: ServiceKind, arguments: &[&str], env: &[(&str, &str)]) -> Said {
    let path = binary(kind.name()).expect("it is built");
    let env: Vec<_> = env.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    program_with(path.to_str().expect("a path in UTF-8"), arguments, &env)
}

/// What it takes to have a configuration that is in order.
const URL: (&str, &str) = ("HOLDFAST_DATABASE_URL", "postgres://holdfast:geheim@db:5432/catalog");

#[test]
fn version_names_the_program_its_version_and_its_commit_without_any_configuration() {
    for kind in ServiceKind::ALL {
        let said = run(kind, &["version"], &[]);
        let start = format!("{} {} (commit ", kind.name(), env!("CARGO_PKG_VERSION"));
        assert!(said.success && said.output.starts_with(&start), "{said:?}");
    }
}

/// The options that need not be given, or cannot be made up.
const WITHOUT_DEFAULT: [&str; 25] = [
    "auth-jwks",
    "auth-jwks-ca-file",
    "auth-issuer",
    "auth-audience",
    "service-names",
    "token-file",
    "database-url",
    "migrate-url",
    "cors-origins",
    "http-hosts",
    "log-directives-file",
    "otlp-endpoint",
    "tls-cert-file",
    "tls-key-file",
    "tls-client-ca-file",
    "calls-ca-file",
    "calls-cert-file",
    "calls-key-file",
    "amqp-ca-file",
    "amqp-cert-file",
    "amqp-key-file",
    "rate-limit",
    "rate-burst",
    "webhook-secrets-file",
    "webhook-rate-limit",
];

#[test]
fn the_help_documents_every_option_with_its_variable_and_every_command() {
    for kind in ServiceKind::ALL {
        let help = run(kind, &["--help"], &[]).output;
        let (before, options) = help.split_once("\nOptions:\n").expect("it has options");
        for command in ["serve", "check-config", "healthcheck", "version"] {
            assert!(before.contains(&format!("\n  {command} ")), "{command}: {help}");
        }
        assert_eq!(before.contains("\n  migrate "), kind != ServiceKind::Expirer, "{help}");
        assert_eq!(help.contains("nothing to migrate"), kind == ServiceKind::Expirer, "{help}");
        let options: Vec<&str> = options.split("\n      --").skip(1).collect();
        assert!(options.len() > 5, "{options:?}");
        for option in options {
            let name = option.split_whitespace().next().expect("it has a name");
            let is_documented = option.contains("[env: HOLDFAST_") && option.lines().count() > 2;
            let has_default = option.contains("[default: ") || WITHOUT_DEFAULT.contains(&name);
            assert!(is_documented && has_default, "{}: --{option}", kind.name());
        }
    }
}

#[test]
fn check_config_prints_what_would_be_used_and_no_password() {
    let env = [URL, ("HOLDFAST_MAX_CALLS", "17"), ("HOLDFAST_MAX_CALS", "18")];
    let said = run(ServiceKind::Catalog, &["--log", "debug", "check-config"], &env);
    assert!(said.success, "{said:?}");
    for line in [
        "HOLDFAST_DATABASE_URL=postgres://***@db:5432/catalog  # environment",
        "HOLDFAST_MAX_CALLS=17  # environment",
        "HOLDFAST_LOG=debug  # flag",
        "HOLDFAST_LISTEN=127.0.0.1:50051  # default",
        "HOLDFAST_OTLP_ENDPOINT=(not set)  # default",
        "# HOLDFAST_MAX_CALS is set, and means nothing here",
    ] {
        assert!(said.output.lines().any(|said| said == line), "{line}: {}", said.output);
    }
    assert!(!said.output.contains("geheim"), "{}", said.output);
}

#[test]
fn check_config_refuses_what_cannot_be_used_and_says_why() {
    for (kind, (name, value), why) in [
        (ServiceKind::Catalog, ("HOLDFAST_DATABASE_URL", ""), "HOLDFAST_DATABASE_URL"),
        (ServiceKind::Catalog, ("HOLDFAST_DATABASE_URL", "postgres://u:geheim@h:port/db"), "port"),
        (ServiceKind::Catalog, ("HOLDFAST_LISTEN", "nowhere"), "--listen"),
        (ServiceKind::Catalog, ("HOLDFAST_LOG", "loud"), "log directives"),
        (ServiceKind::Catalog, ("HOLDFAST_LISTEN", "0.0.0.0:50051"), "HOLDFAST_AUTH=off"),
        (ServiceKind::Reservation, ("HOLDFAST_HTTP_LISTEN", "[::]:8082"), "HOLDFAST_AUTH_JWKS"),
        (ServiceKind::Catalog, ("HOLDFAST_AUTH", "on"), "HOLDFAST_AUTH_ISSUER"),
        (ServiceKind::Reservation, ("HOLDFAST_AUTH_ISSUER", "https://a.example"), "HOLDFAST_AUTH_JWKS"),
        (ServiceKind::Expirer, ("HOLDFAST_TOKEN_FILE", "/nowhere/token"), "/nowhere/token"),
        (ServiceKind::Reservation, ("HOLDFAST_AMQP_URL", "http://u:geheim@mq"), "RabbitMQ"),
        (ServiceKind::Reservation, ("HOLDFAST_CATALOG_URL", "catalog"), "catalog"),
        (ServiceKind::Expirer, ("HOLDFAST_RESERVATION_URL", "nowhere"), "reservation"),
        (ServiceKind::Reservation, ("HOLDFAST_CALLS_CA_FILE", "/nowhere/ca.pem"), "plain text"),
        (ServiceKind::Expirer, ("HOLDFAST_AMQP_CA_FILE", "/nowhere/ca.pem"), "plain text"),
        (ServiceKind::Expirer, ("HOLDFAST_OTLP_ENDPOINT", "nowhere"), "OTLP"),
        (ServiceKind::Expirer, ("HOLDFAST_TRACE_RATIO", "2"), "--trace-ratio"),
        (
            ServiceKind::Catalog,
            ("HOLDFAST_OTLP_ENDPOINT", "https://collector:4317"),
            "OTLP endpoint is https",
        ),
        (ServiceKind::Catalog, ("HOLDFAST_OTLP_ENDPOINT", "http://u:geheim@collector:4317"), "OTLP endpoint"),
        (ServiceKind::Catalog, ("HOLDFAST_OTLP_ENDPOINT", "http://collector:99999"), "OTLP endpoint"),
    ] {
        // Who serves says the same, and ends the same way.
        for command in ["check-config", "serve"] {
            let said = run(kind, &[command], &[URL, (name, value)]);
            assert_eq!(said.code, Some(2), "{name}={value}: {said:?}");
            assert!(said.anywhere(why), "{name}={value}: {said:?}");
            assert!(!said.anywhere("geheim"), "{said:?}");
        }
    }
}

/// Nothing but a connection would tell otherwise.
#[test]
fn check_config_tries_the_certificate_and_the_key_for_rabbitmq() {
    let pki = Pki::new(&shared().home().dir().join("commands")).expect("an authority can be made");
    let [own, other] = ["own", "other"].map(|name| pki.issue(name, &[]).expect("it is issued"));
    let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    let (ca, cert) = (path(&pki.ca()), path(&own.cert));
    for (key, code) in [(path(&own.key), 0), (path(&other.key), 2)] {
        let certificates = [
            ("HOLDFAST_AMQP_URL", "amqps://mq"),
            ("HOLDFAST_AMQP_CA_FILE", &ca),
            ("HOLDFAST_AMQP_CERT_FILE", &cert),
            ("HOLDFAST_AMQP_KEY_FILE", &key),
        ];
        for kind in [ServiceKind::Reservation, ServiceKind::Expirer] {
            let said = run(kind, &["check-config"], &[&[URL], &certificates[..]].concat());
            assert_eq!(said.code, Some(code), "{said:?}");
            assert!(said.anywhere(&key), "{said:?}");
        }
    }
}

/// It may run where nothing else is set up.
#[test]
fn migrate_looks_at_nothing_but_the_database() {
    let elsewhere = [
        ("HOLDFAST_CALLS_CA_FILE", "/nowhere/ca.pem"),
        ("HOLDFAST_AMQP_CA_FILE", "/nowhere/ca.pem"),
        ("HOLDFAST_TLS_CERT_FILE", "/nowhere/own.pem"),
        ("HOLDFAST_AUTH", "on"),
    ];
    for kind in [ServiceKind::Catalog, ServiceKind::Reservation] {
        shared().migrate_with(kind, &elsewhere).expect("it has all that it needs");
    }
}

/// What a process that logs JSON ends for is a line of JSON.
#[test]
fn a_process_that_fails_says_why_in_its_log() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("it is bound").to_string();
    let http = ("HOLDFAST_HTTP_LISTEN", "127.0.0.1:0");
    let env = [URL, ("HOLDFAST_LOG_FORMAT", "json"), ("HOLDFAST_LISTEN", address.as_str()), http];
    let said = run(ServiceKind::Catalog, &[], &env);
    assert_eq!((said.code, said.errors.as_str()), (Some(1), ""), "{said:?}");
    let last = said.output.lines().last().expect("it says something");
    let line: serde_json::Value = serde_json::from_str(last).expect("JSON");
    assert_eq!(line["level"], "ERROR", "{line}");
    assert!(line["error"].as_str().is_some_and(|error| error.contains(&address)), "{line}");
}

#[test]
fn a_service_that_others_could_reach_does_not_start_without_knowing_who_they_are() {
    let everywhere = [URL, ("HOLDFAST_LISTEN", "0.0.0.0:0"), ("HOLDFAST_HTTP_LISTEN", "127.0.0.1:0")];
    for kind in [ServiceKind::Catalog, ServiceKind::Reservation] {
        let said = run(kind, &["serve"], &everywhere);
        let why = "HOLDFAST_LISTEN is 0.0.0.0:0, which others can reach";
        assert!(said.code == Some(2) && said.anywhere(why), "{said:?}");
        // Whoever says so may.
        let said = run(kind, &["check-config"], &[&everywhere[..], &[("HOLDFAST_AUTH", "off")]].concat());
        assert!(said.success, "{said:?}");
    }
    // What has no API is for everyone.
    let said = run(ServiceKind::Expirer, &["check-config"], &[("HOLDFAST_HTTP_LISTEN", "0.0.0.0:0")]);
    assert!(said.success, "{said:?}");
}

#[test]
fn healthcheck_succeeds_for_a_service_that_is_ready() {
    for service in [shared().catalog(), shared().reservation(), shared().expirer()] {
        let everywhere = format!("0.0.0.0:{}", port_of(service));
        let said = run(service.kind(), &["healthcheck"], &[("HOLDFAST_HTTP_LISTEN", &everywhere)]);
        assert!(said.success && said.output.contains("\"ready\":true"), "{said:?}");
    }
}

fn port_of(service: &Service) -> String {
    let url = service.http_url();
    url.rsplit(':').next().expect("it has a port").to_owned()
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn healthcheck_fails_for_a_service_that_waits_or_is_not_there() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = free.local_addr().expect("it is bound").to_string();
    drop(free);
    let env = [("HOLDFAST_HTTP_LISTEN", address.as_str())];
    let gone = run(ServiceKind::Catalog, &["healthcheck"], &env);
    assert!(!gone.success && gone.errors.contains("does not answer"), "{gone:?}");

    // Its database is not there.
    let mut command = Command::new(binary("catalog").expect("it is built"));
    command.arg("serve").envs(env).env("HOLDFAST_LISTEN", "127.0.0.1:0");
    command.env("HOLDFAST_DATABASE_URL", "postgres://127.0.0.1:1/catalog");
    let _running = Running(command.stdout(Stdio::null()).spawn().expect("it starts"));
    eventually("it runs", PATIENCE, async || {
        let live = run(ServiceKind::Catalog, &["healthcheck", "--live"], &env);
        if live.success { Ok(()) } else { Err(live) }
    })
    .await;
    let waiting = run(ServiceKind::Catalog, &["healthcheck"], &env);
    assert!(!waiting.success && waiting.errors.contains("not ready"), "{waiting:?}");
    assert!(waiting.errors.contains("database"), "{waiting:?}");
}
