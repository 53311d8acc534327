//! A whole server, driven through real connections.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    future::pending,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use axum::{Router, response::Response, routing::post};
use http::uri::PathAndQuery;
use server::{Admission, Channel, Health, Jobs, PartState};
use telemetry::{LogFormat, Telemetry, TelemetryConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status, service::Routes};
use tonic_health::pb::{
    HealthCheckRequest, HealthCheckResponse, health_check_response::ServingStatus,
    health_client::HealthClient,
};

const SERVICE: &str = "holdfast.catalog.v1.CatalogService";
const PATIENCE: Duration = Duration::from_secs(30);
/// Calls in flight that the server takes.
const MAX_CALLS: usize = 3;

/// A running server with handlers of its own: one that answers when it is told to, one that never does, one that panics,
/// one that knows of a defect.
struct Running {
    health: Health,
    stop: CancellationToken,
    served: JoinHandle<anyhow::Result<()>>,
    url: String,
    http: SocketAddr,
    arrived: Arc<Notify>,
    answer: watch::Sender<bool>,
}

/// Set up once for all tests of this process, silent.
static TELEMETRY: LazyLock<Telemetry> = LazyLock::new(|| {
    let config =
        TelemetryConfig { log: "off".to_owned(), log_format: LogFormat::Pretty, otlp_endpoint: None };
    telemetry::init("test", &config).unwrap()
});

async fn start() -> Running {
    LazyLock::force(&TELEMETRY);
    let grpc = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", grpc.local_addr().unwrap());
    let http_address = http.local_addr().unwrap();
    let health = Health::new(&[SERVICE]).require("database").inform("broker");
    let stop = CancellationToken::new();
    let arrived = Arc::new(Notify::new());
    let answer = watch::Sender::new(false);
    let routes = Routes::from(handlers(arrived.clone(), answer.subscribe()));
    let served = tokio::spawn(serve(grpc, http, routes, health.clone(), stop.clone()));
    Running { health, stop, served, url, http: http_address, arrived, answer }
}

/// As a service does.
async fn serve(
    grpc: TcpListener,
    http: TcpListener,
    routes: Routes,
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let drained = CancellationToken::new();
    let http = tokio::spawn(server::serve_http(http, health.clone(), drained.clone()));
    let served =
        server::serve(grpc, routes, health, Admission::new(MAX_CALLS, &["test.Internal"]), stop).await;
    drained.cancel();
    http.await?;
    served
}

fn handlers(arrived: Arc<Notify>, answer: watch::Receiver<bool>) -> Router {
    let waiting = async move || {
        let mut answer = answer.clone();
        arrived.notify_one();
        answer.wait_for(|told| *told).await.unwrap();
        empty_message()
    };
    Router::new()
        .route("/test.Test/Wait", post(waiting.clone()))
        .route("/test.Internal/Wait", post(waiting))
        .route("/test.Test/Hang", post(pending::<Response>))
        .route("/test.Test/Panic", post(async || -> Response { panic!("a handler's mistake") }))
        .route("/test.Test/Fail", post(fail))
}

/// A method of a service, as tonic serves it.
async fn fail(request: http::Request<axum::body::Body>) -> http::Response<tonic::body::Body> {
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let method = tower::service_fn(async |_: Request<()>| Err::<tonic::Response<()>, _>(api::internal()));
    tonic::server::Grpc::new(codec).unary(method, request).await
}

/// A gRPC response with one empty message and status OK in its headers.
fn empty_message() -> Response {
    Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", "0")
        .body(vec![0; 5].into())
        .unwrap()
}

/// Calls a handler of the test with empty messages.
async fn call(channel: Channel, path: &'static str, timeout: Option<Duration>) -> Result<(), Status> {
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let mut request = Request::new(());
    if let Some(timeout) = timeout {
        request.set_timeout(timeout);
    }
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    client.unary(request, PathAndQuery::from_static(path), codec).await.map(|_| ())
}

/// What `GET path` answers over HTTP: status line, headers and body.
async fn get(running: &Running, path: &str) -> String {
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

async fn check(running: &Running, service: &str) -> Result<ServingStatus, Status> {
    let mut client = HealthClient::new(server::channel(&running.url, PATIENCE).unwrap());
    let request = HealthCheckRequest { service: service.to_owned() };
    client.check(request).await.map(|response| response.into_inner().status())
}

async fn end(running: Running) {
    running.stop.cancel();
    tokio::time::timeout(PATIENCE, running.served).await.expect("it drains").unwrap().unwrap();
}

#[tokio::test]
async fn readiness_follows_the_required_parts_and_liveness_does_not() {
    let running = start().await;
    assert_eq!(check(&running, SERVICE).await.unwrap(), ServingStatus::NotServing);
    assert_eq!(check(&running, "").await.unwrap(), ServingStatus::Serving);
    assert_eq!(check(&running, "no.Such").await.unwrap_err().code(), Code::NotFound);
    let unready = get(&running, "/readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503"), "{unready}");

    running.health.set("database", PartState::Up);
    running.health.set("broker", PartState::Down("connection refused".to_owned()));
    assert_eq!(check(&running, SERVICE).await.unwrap(), ServingStatus::Serving);
    let ready = get(&running, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
    assert!(ready.contains(r#""database":{"required":true,"state":"up"}"#), "{ready}");
    assert!(ready.contains(r#""reason":"connection refused""#), "{ready}");
    assert!(get(&running, "/livez").await.starts_with("HTTP/1.1 200"));
    assert!(get(&running, "/metrics").await.starts_with("HTTP/1.1 200"));
    end(running).await;
}

#[tokio::test]
async fn a_watched_health_tells_each_change_and_ends_with_the_process() {
    let running = start().await;
    let mut client = HealthClient::new(server::channel(&running.url, PATIENCE).unwrap());
    let request = HealthCheckRequest { service: SERVICE.to_owned() };
    let mut statuses = client.watch(request).await.unwrap().into_inner();
    let expect = |status: ServingStatus| Some(HealthCheckResponse { status: status.into() });
    assert_eq!(statuses.message().await.unwrap(), expect(ServingStatus::NotServing));
    running.health.set("database", PartState::Up);
    assert_eq!(statuses.message().await.unwrap(), expect(ServingStatus::Serving));
    running.stop.cancel();
    assert_eq!(statuses.message().await.unwrap(), expect(ServingStatus::NotServing));
    assert_eq!(statuses.message().await.unwrap(), None);
    end(running).await;
}

#[tokio::test]
async fn a_call_in_flight_is_answered_before_the_process_ends() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let in_flight = tokio::spawn(call(channel, "/test.Test/Wait", None));
    running.arrived.notified().await;
    running.stop.cancel();
    let mut changes = running.health.subscribe();
    changes.wait_for(|snapshot| snapshot.draining).await.unwrap();
    running.answer.send_replace(true);
    in_flight.await.unwrap().unwrap();
    end(running).await;
}

/// The calls in flight are answered; then the process ends with an error, for somebody to start it anew.
#[tokio::test]
async fn a_background_job_that_dies_drains_the_process() {
    let running = start().await;
    running.health.set("database", PartState::Up);
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let in_flight = tokio::spawn(call(channel, "/test.Test/Wait", None));
    running.arrived.notified().await;
    let (jobs, until) = (Jobs::new(&running.health, &running.stop), CancellationToken::new());
    jobs.spawn("relay", &until, async { panic!("on purpose") });
    let mut changes = running.health.subscribe();
    changes.wait_for(|snapshot| snapshot.draining).await.unwrap();
    assert!(get(&running, "/readyz").await.starts_with("HTTP/1.1 503"));
    running.answer.send_replace(true);
    in_flight.await.unwrap().unwrap();
    end(running).await;
    assert!(jobs.finish().await.unwrap_err().to_string().contains("relay"));
}

#[tokio::test]
async fn a_call_ends_with_its_deadline() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let error = call(channel, "/test.Test/Hang", Some(Duration::from_millis(500))).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    end(running).await;
}

#[tokio::test]
async fn a_call_ends_with_the_timeout_of_its_channel() {
    let running = start().await;
    let channel = server::channel(&running.url, Duration::from_millis(100)).unwrap();
    let error = call(channel, "/test.Test/Hang", None).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    end(running).await;
}

#[tokio::test]
async fn a_panic_fails_one_call_and_the_server_goes_on() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let error = call(channel.clone(), "/test.Test/Panic", None).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Internal, api::internal().message()));
    running.answer.send_replace(true);
    call(channel, "/test.Test/Wait", None).await.unwrap();
    end(running).await;
}

/// Whoever called cannot help it, and does not know what was done.
#[tokio::test]
async fn a_defect_of_ours_is_not_blamed_on_the_caller() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let error = call(channel, "/test.Test/Fail", None).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::Internal, api::internal().message()));
    end(running).await;
}

/// INTERNAL is for defects of ours.
#[tokio::test]
async fn a_request_that_cannot_be_read_is_the_callers_mistake() {
    let running = start().await;
    let codec = tonic_prost::ProstCodec::<prost_types::Duration, ()>::default();
    let mut client = tonic::client::Grpc::new(server::channel(&running.url, PATIENCE).unwrap());
    client.ready().await.unwrap();
    // Its seconds stand where the name of a service, a text, is expected.
    let request = Request::new(prost_types::Duration { seconds: 7, nanos: 0 });
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let error = client.unary(request, path, codec).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    end(running).await;
}

#[tokio::test]
async fn a_call_is_counted_by_its_method_and_code() {
    let running = start().await;
    check(&running, "").await.unwrap();
    check(&running, "no.Such").await.unwrap_err();
    let metrics = get(&running, "/metrics").await;
    for code in ["OK", "NOT_FOUND"] {
        let labels = format!("{{code=\"{code}\",rpc_method=\"grpc.health.v1.Health/Check\"}}");
        assert!(
            metrics.contains(&format!("holdfast_rpc_server_duration_seconds_count{labels}")),
            "{metrics}"
        );
    }
    assert!(metrics.contains("holdfast_rpc_server_duration_seconds_bucket{code=\"OK\""), "{metrics}");
    assert!(metrics.contains(r#"le="0.001""#), "{metrics}");
    end(running).await;
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let error = call(channel, "/no.Such/Method", None).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    end(running).await;
}

#[tokio::test]
async fn reflection_lists_what_is_served_in_both_versions() {
    use tonic_reflection::pb::{v1, v1alpha};

    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let ask = v1::ServerReflectionRequest {
        message_request: Some(v1::server_reflection_request::MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel.clone());
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let v1::server_reflection_response::MessageResponse::ListServicesResponse(list) = answer else {
        panic!("{answer:?}")
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    assert_eq!(names, [SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]);

    let ask = v1alpha::ServerReflectionRequest {
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
            SERVICE.to_owned(),
        )),
        ..Default::default()
    };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let answers = client.server_reflection_info(futures::stream::iter([ask])).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    assert!(matches!(
        answer,
        v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_)
    ));
    end(running).await;
}

#[tokio::test]
async fn a_service_that_is_away_is_unavailable() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let channel = server::channel(&format!("http://{nobody}"), PATIENCE).unwrap();
    let error = call(channel, "/test.Test/Wait", None).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
}

#[tokio::test]
async fn one_call_too_many_is_refused_at_once_and_the_services_and_health_are_not() {
    let running = start().await;
    let channel = server::channel(&running.url, PATIENCE).unwrap();
    let mut waiting = Vec::new();
    for _ in 0..MAX_CALLS {
        waiting.push(tokio::spawn(call(channel.clone(), "/test.Test/Wait", None)));
        running.arrived.notified().await;
    }
    let refused = call(channel.clone(), "/test.Test/Wait", None).await.unwrap_err();
    assert_eq!((refused.code(), &*api::reason_of(&refused)), (Code::ResourceExhausted, "OVERLOADED"));
    assert!(api::retry_delay_of(&refused).is_some());
    assert_eq!(check(&running, "").await.unwrap(), ServingStatus::Serving);
    let internal = tokio::spawn(call(channel.clone(), "/test.Internal/Wait", None));
    running.arrived.notified().await;

    running.answer.send_replace(true);
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    internal.await.unwrap().unwrap();
    call(channel, "/test.Test/Wait", None).await.unwrap();
    end(running).await;
}

#[tokio::test]
async fn a_drain_that_a_call_holds_up_ends_at_its_limit_and_says_so() {
    let running = start().await;
    // A stream is not limited by its deadline once its response has begun.
    let (sender, requests) = futures::channel::mpsc::unbounded();
    let first = tonic_reflection::pb::v1::ServerReflectionRequest {
        message_request: Some(
            tonic_reflection::pb::v1::server_reflection_request::MessageRequest::ListServices(String::new()),
        ),
        ..Default::default()
    };
    sender.unbounded_send(first).unwrap();
    // The channel of the services reads requests whole: this one is tonic's own.
    let direct = tonic::transport::Endpoint::from_shared(running.url.clone()).unwrap().connect_lazy();
    let mut streaming =
        tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient::new(direct);
    let mut answers = streaming.server_reflection_info(requests).await.unwrap().into_inner();
    assert!(answers.message().await.unwrap().is_some());
    running.stop.cancel();
    let error = tokio::time::timeout(PATIENCE, running.served).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("still in flight"), "{error:#}");
    drop(sender);
}

#[tokio::test]
async fn calls_go_to_another_replica_when_one_is_gone() {
    let (first, second) = (start().await, start().await);
    let urls = format!("{}, {}", first.url, second.url);
    let channel = server::channel(&urls, PATIENCE).unwrap();
    for running in [&first, &second] {
        running.answer.send_replace(true);
    }
    for _ in 0..4 {
        call(channel.clone(), "/test.Test/Wait", None).await.unwrap();
    }
    end(first).await;
    for _ in 0..10 {
        call(channel.clone(), "/test.Test/Wait", None).await.unwrap();
    }
    end(second).await;
    assert_eq!(call(channel, "/test.Test/Wait", None).await.unwrap_err().code(), Code::Unavailable);
}
