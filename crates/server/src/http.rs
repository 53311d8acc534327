//! Health and metrics over HTTP, `/livez`, `/readyz`, `/metrics`, beside what else a service has there.

use std::{sync::Arc, time::Duration};

use ::http::{
    HeaderMap, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, VARY},
};
use axum::{Router, extract::State, response::IntoResponse, routing::get};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use telemetry::Exposition;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Health, PartState, Snapshot};

/// Connections at a time; one more is closed at once.
const MAX_CONNECTIONS: usize = 1_024;
/// How long the head of a request may take, and how long a connection may be silent between two of them.
const HEAD_LIMIT: Duration = Duration::from_mins(1);
/// What one connection may have read and not handled, or answered and not sent; the head of a request must fit in.
const CONNECTION_BUFFER_BYTES: usize = 64 << 10;
/// How long open requests are waited for once the process is to stop.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How long nothing is accepted when the system refuses: it lacks descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves until `stop`.
pub(crate) async fn run(
    listener: TcpListener,
    health: Health,
    more: Option<Router>,
    stop: CancellationToken,
) {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
        .merge(more.unwrap_or_default());
    let (places, open) = (Arc::new(Semaphore::new(MAX_CONNECTIONS)), GracefulShutdown::new());
    let server = server();
    while let Some(stream) = stop.run_until_cancelled(accept(&listener)).await {
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        // An answer is written in one go: it is not to wait for more.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(router.clone());
        let connection = open.watch(server.serve_connection(TokioIo::new(stream), service).into_owned());
        tokio::spawn(async move {
            // What goes wrong here is between a client and its connection.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = timeout(CLOSE_LIMIT, open.shutdown()).await;
}

/// HTTP/1.1 alone: who speaks HTTP/2 has the gRPC port. Patient for so long and no longer, with so much memory and no more.
fn server() -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_LIMIT)
        .max_buf_size(CONNECTION_BUFFER_BYTES);
    server
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return stream,
            Err(error) => {
                tracing::debug!(%error, "a connection that could not be accepted");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let snapshot = health.snapshot();
    let status = if snapshot.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CONTENT_TYPE, "application/json")], format!("{}\n", describe(&snapshot)))
}

async fn metrics(headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let Exposition { content_type, text } = telemetry::exposition(accept);
    ([(CONTENT_TYPE, content_type), (VARY, "accept")], text)
}

/// The body of `/readyz`.
fn describe(snapshot: &Snapshot) -> Value {
    let parts = snapshot.parts.iter().map(|(name, part)| {
        let mut value = json!({ "required": part.required });
        match &part.state {
            PartState::Up => value["state"] = "up".into(),
            PartState::Down(reason) => {
                value["state"] = "down".into();
                value["reason"] = reason.as_str().into();
            }
        }
        ((*name).to_owned(), value)
    });
    json!({
        "ready": snapshot.is_ready(),
        "draining": snapshot.draining,
        "parts": parts.collect::<serde_json::Map<_, _>>(),
    })
}
