//! Telemetry of a whole process: it is set up once, so this is one test.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use axum::{Router, body::Bytes, http::HeaderMap, routing::post};
use telemetry::{LogFormat, TelemetryConfig, propagation};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};
use tonic::{metadata::MetadataMap, service::Routes, transport::Server, transport::server::TcpIncoming};
use tracing::info_span;

const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes exported spans as an OTLP collector does, and passes them on as they came.
async fn collector() -> (String, mpsc::UnboundedReceiver<Bytes>) {
    let (export, exports) = mpsc::unbounded_channel();
    let take = async move |body: Bytes| {
        export.send(body).unwrap();
        ([("content-type", "application/grpc"), ("grpc-status", "0")], vec![0; 5])
    };
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Routes::from(Router::new().route(path, post(take)));
    let serving = Server::builder().add_routes(routes).serve_with_incoming(TcpIncoming::from(listener));
    tokio::spawn(serving);
    (url, exports)
}

fn contains(body: &Bytes, part: &[u8]) -> bool {
    body.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn spans_are_exported_context_travels_and_metrics_are_shown() {
    let (url, mut exports) = collector().await;
    let config = TelemetryConfig {
        log: "info".to_owned(),
        log_format: LogFormat::Json,
        otlp_endpoint: Some(url),
        log_directives_file: None,
        trace_ratio: 1.0,
    };
    let build = telemetry::Build::new("test", "1.2.3", Some("abc"), "");
    let telemetry = telemetry::init(&build, &config).unwrap();
    assert!(telemetry::init(&build, &config).is_err(), "it is set up once");
    assert_eq!(propagation::current_traceparent(), None, "outside a span");

    let span = info_span!("a piece of work", trace_id = tracing::field::Empty);
    propagation::set_parent(
        &span,
        &HeaderMap::from_iter([("traceparent".parse().unwrap(), PARENT.parse().unwrap())]),
    );
    assert_eq!(propagation::trace_id(&span).as_deref(), Some(TRACE_ID));
    let mut metadata = MetadataMap::new();
    let stored = span.in_scope(|| {
        propagation::inject(&mut metadata);
        propagation::current_traceparent().expect("inside a span")
    });
    assert_eq!(metadata.get("traceparent").unwrap().to_str().unwrap(), stored);
    assert!(stored.starts_with(&format!("00-{TRACE_ID}-")), "{stored}");
    assert_ne!(stored, PARENT, "the span is a child, not the parent itself");
    drop(span);

    let later = info_span!("a later piece of work");
    propagation::link(&later, &stored);
    propagation::link(&later, "nonsense");
    assert_ne!(propagation::trace_id(&later).as_deref(), Some(TRACE_ID), "linked, not part of it");
    drop(later);

    telemetry::duration_histogram("holdfast_test_seconds", "A test's histogram").record(0.004, &[]);
    telemetry::meter().u64_counter("holdfast_test").build().add(2, &[]);
    let metrics = telemetry::metrics_text();
    assert!(metrics.contains("holdfast_test_seconds_bucket{le=\"0.003\"} 0"), "{metrics}");
    assert!(metrics.contains("holdfast_test_seconds_bucket{le=\"0.005\"} 1"), "{metrics}");
    assert!(metrics.contains("holdfast_test_total 2"), "{metrics}");
    let build = r#"holdfast_build_info{commit="abc",service="test",version="1.2.3"} 1"#;
    assert!(metrics.contains(build), "{metrics}");
    assert!(metrics.contains("holdfast_runtime_workers 1"), "{metrics}");
    let openmetrics = telemetry::exposition("application/openmetrics-text;version=1.0.0").text;
    assert!(
        openmetrics.ends_with("# EOF\n") && openmetrics.contains("# TYPE holdfast_test counter"),
        "{openmetrics}"
    );

    drop(telemetry);
    let export = timeout(PATIENCE, exports.recv()).await.expect("spans are sent at the end").unwrap();
    for part in ["a piece of work", "a later piece of work", "service.name"] {
        assert!(contains(&export, part.as_bytes()), "{part}");
    }
}
