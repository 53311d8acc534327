//! A running server with handlers that a test can steer, and how to call it.

use std::{
    convert::Infallible,
    future::pending,
    net::SocketAddr,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{Extension, Router, response::Response, routing::post};
use http::uri::PathAndQuery;
use server::{
    Access, Admission, Calls, Channel, Endpoints, Health, Listener, Name, Peer, Services, TlsConfig,
};
use telemetry::{LogFormat, Telemetry, TelemetryConfig};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, body::Body, codegen::BoxFuture, server::NamedService};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};
use tower::ServiceExt as _;

pub(crate) const SERVICE: &str = "holdfast.catalog.v1.CatalogService";
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Calls in flight that the server takes.
pub(crate) const MAX_CALLS: usize = 3;

/// A running server with handlers of its own: one that answers when it is told to, one that never does, one that panics,
/// one that knows of a defect.
pub(crate) struct Running {
    pub(crate) health: Health,
    pub(crate) stop: CancellationToken,
    pub(crate) served: JoinHandle<anyhow::Result<()>>,
    pub(crate) url: String,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) arrived: Arc<Notify>,
    /// How many calls arrived.
    pub(crate) calls: Arc<AtomicUsize>,
    pub(crate) answer: watch::Sender<bool>,
}

/// Set up once for all tests of this process, silent.
static TELEMETRY: LazyLock<Telemetry> = LazyLock::new(|| {
    let config = TelemetryConfig {
        log: "off".to_owned(),
        log_format: LogFormat::Pretty,
        otlp_endpoint: None,
        log_directives_file: None,
        trace_ratio: 1.0,
    };
    telemetry::init(&telemetry::Build::new("test", "0", None, ""), &config).unwrap()
});

pub(crate) async fn start() -> Running {
    start_at("127.0.0.1").await
}

pub(crate) async fn start_at(ip: &str) -> Running {
    let grpc = TcpListener::bind((ip, 0)).await.unwrap();
    let http = TcpListener::bind("127.0.0.1:0").await.unwrap();
    start_on(Endpoints { grpc: grpc.into(), http: http.into() }, "http")
}

pub(crate) async fn start_secured(tls: &TlsConfig) -> Running {
    let any = "127.0.0.1:0".parse().unwrap();
    start_on(Endpoints::bind(any, any, tls).await.unwrap(), "https")
}

fn start_on(endpoints: Endpoints, scheme: &str) -> Running {
    LazyLock::force(&TELEMETRY);
    let Endpoints { grpc, http } = endpoints;
    let grpc_address = grpc.local_addr().unwrap();
    let url = format!("{scheme}://{grpc_address}");
    let http_address = http.local_addr().unwrap();
    let health = Health::new(&[SERVICE]).require("database").inform("broker");
    let stop = CancellationToken::new();
    let (arrived, calls) = (Arc::new(Notify::new()), Arc::new(AtomicUsize::new(0)));
    let answer = watch::Sender::new(false);
    let handlers = handlers(arrived.clone(), calls.clone(), answer.subscribe());
    let services = Services::new().with(Test(handlers.clone())).with(Internal(handlers));
    let served = tokio::spawn(serve(grpc, http, services, health.clone(), stop.clone()));
    Running { health, stop, served, url, grpc: grpc_address, http: http_address, arrived, calls, answer }
}

/// As a service does.
async fn serve(
    grpc: Listener,
    http: Listener,
    services: Services,
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let drained = CancellationToken::new();
    let http = tokio::spawn(server::serve_http(http, health.clone(), None, drained.clone()));
    let admission = Admission::new(MAX_CALLS, &["test.Internal"]);
    let access = Access::open();
    let served = server::serve(grpc, services, health, admission, access, Calls::default(), stop).await;
    drained.cancel();
    http.await?;
    served
}

/// Services with handlers of a test, by their paths.
macro_rules! service {
    ($type:ident, $name:literal) => {
        #[derive(Clone)]
        struct $type(Router);

        impl NamedService for $type {
            const NAME: &'static str = $name;
        }

        impl tower::Service<http::Request<Body>> for $type {
            type Response = http::Response<Body>;
            type Error = Infallible;
            type Future = BoxFuture<http::Response<Body>, Infallible>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: http::Request<Body>) -> Self::Future {
                let handlers = self.0.clone();
                Box::pin(async move { Ok(handlers.oneshot(request).await?.map(Body::new)) })
            }
        }
    };
}

service!(Test, "test.Test");
service!(Internal, "test.Internal");

fn handlers(arrived: Arc<Notify>, calls: Arc<AtomicUsize>, answer: watch::Receiver<bool>) -> Router {
    let waiting = async move || {
        let mut answer = answer.clone();
        calls.fetch_add(1, Ordering::Relaxed);
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
        .route("/test.Test/Who", post(who))
}

/// A method of a service, as tonic serves it.
async fn fail(request: http::Request<axum::body::Body>) -> http::Response<tonic::body::Body> {
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let method = tower::service_fn(async |_: Request<()>| Err::<tonic::Response<()>, _>(api::internal()));
    tonic::server::Grpc::new(codec).unary(method, request).await
}

/// Says who calls: fails with the names in the caller's certificate, parted by commas.
async fn who(Extension(peer): Extension<Peer>) -> Response {
    let names = match &peer.certificate {
        Some(certificate) => certificate.names().map(Name::as_str).collect::<Vec<_>>().join(","),
        None => "nobody".to_owned(),
    };
    Status::aborted(names).into_http()
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
pub(crate) async fn call(
    channel: Channel,
    path: &'static str,
    timeout: Option<Duration>,
) -> Result<(), Status> {
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
pub(crate) async fn get(running: &Running, path: &str) -> String {
    let mut stream = TcpStream::connect(running.http).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

pub(crate) async fn check(running: &Running, service: &str) -> Result<ServingStatus, Status> {
    let mut client = HealthClient::new(server::channel(&running.url, PATIENCE).unwrap());
    let request = HealthCheckRequest { service: service.to_owned() };
    client.check(request).await.map(|response| response.into_inner().status())
}

pub(crate) async fn end(running: Running) {
    running.stop.cancel();
    tokio::time::timeout(PATIENCE, running.served).await.expect("it drains").unwrap().unwrap();
}
