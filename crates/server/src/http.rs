//! Health and metrics over HTTP, `/livez`, `/readyz`, `/metrics`, beside what else a service has there.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::{
    Extension, Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{Stream, StreamExt as _, stream};
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
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{Health, Listener, PartState, Snapshot, reader::Reader, tls};

/// Connections at a time that may call whatever there is.
const MAX_CONNECTIONS: usize = 1_024;
/// Connections beyond them, for one request each, and for health and metrics alone. One more takes the place of the oldest.
const SPARE_CONNECTIONS: usize = 64;
/// How long the head of a request may take, and how long a connection may be silent between two of them.
const HEAD_LIMIT: Duration = Duration::from_mins(1);
/// The same for a spare connection.
const SPARE_HEAD_LIMIT: Duration = Duration::from_secs(2);
/// What one connection may have read and not handled, or answered and not sent; the head of a request must fit in.
const CONNECTION_BUFFER_BYTES: usize = 64 << 10;
/// How long open requests are waited for once the process is to stop.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// How long nothing is accepted when the system refuses: it lacks descriptors or memory.
const PAUSE: Duration = Duration::from_millis(100);

/// All places are taken: stands in the extensions of requests that come beyond them, of which only those for health and
/// metrics are to be answered.
#[derive(Clone, Copy, Debug)]
pub struct Crowded;

/// Serves until `stop`.
pub(crate) async fn run(listener: Listener, health: Health, more: Option<Router>, stop: CancellationToken) {
    serve(listener, router(health, more), MAX_CONNECTIONS, stop).await;
}

fn router(health: Health, more: Option<Router>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(only_read)
        .with_state(health)
        .merge(more.unwrap_or_default())
}

async fn serve(listener: Listener, router: Router, max_connections: usize, stop: CancellationToken) {
    let (places, open) = (Arc::new(Semaphore::new(max_connections)), GracefulShutdown::new());
    let crowded = router.clone().layer(Extension(Crowded));
    let (all, one) = (server(HEAD_LIMIT, true), server(SPARE_HEAD_LIMIT, false));
    let mut spare: VecDeque<AbortHandle> = VecDeque::new();
    let mut incoming = Box::pin(tls::secured(Box::pin(accepted(listener.tcp)), listener.acceptor));
    while let Some(Some(stream)) = stop.run_until_cancelled(incoming.next()).await {
        let Ok(stream) = stream else { continue };
        let place = Arc::clone(&places).try_acquire_owned().ok();
        let (server, router) = if place.is_some() { (&all, &router) } else { (&one, &crowded) };
        let service = TowerToHyperService::new(router.clone());
        let stream = TokioIo::new(Reader::new(stream));
        let connection = open.watch(server.serve_connection(stream, service).into_owned());
        let is_spare = place.is_none();
        let task = tokio::spawn(async move {
            // What goes wrong here is between a client and its connection.
            let _ = connection.await;
            drop(place);
        });
        if is_spare {
            spare.retain(|task| !task.is_finished());
            if spare.len() == SPARE_CONNECTIONS
                && let Some(oldest) = spare.pop_front()
            {
                oldest.abort();
            }
            spare.push_back(task.abort_handle());
        }
    }
    drop(incoming);
    let _ = timeout(CLOSE_LIMIT, open.shutdown()).await;
}

/// HTTP/1.1 alone: who speaks HTTP/2 has the gRPC port. Patient for so long and no longer, with so much memory and no more.
fn server(head_limit: Duration, keep_alive: bool) -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(head_limit)
        .keep_alive(keep_alive)
        .max_buf_size(CONNECTION_BUFFER_BYTES);
    server
}

/// What connects, for ever.
fn accepted(listener: TcpListener) -> impl Stream<Item = io::Result<TcpStream>> {
    stream::unfold(listener, async |listener| Some((Ok(accept(&listener).await), listener)))
}

async fn accept(listener: &TcpListener) -> TcpStream {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // An answer is written in one go: it is not to wait for more.
                let _ = stream.set_nodelay(true);
                return stream;
            }
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
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{}\n", describe(&snapshot)))
}

async fn metrics(headers: HeaderMap) -> impl IntoResponse {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let Exposition { content_type, text } = telemetry::exposition(accept);
    ([(header::CONTENT_TYPE, content_type), (header::VARY, "accept")], text)
}

/// Refuses a method, in the form in which REST refuses.
async fn only_read() -> Response {
    let error =
        json!({ "code": 405, "status": "UNIMPLEMENTED", "message": "this path is for GET", "details": [] });
    let mut response = (StatusCode::METHOD_NOT_ALLOWED, error.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ALLOW, HeaderValue::from_static("GET,HEAD"));
    response
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::extract::Request;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Serves two connections, with `/orders` beside health.
    async fn start() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let orders = async |request: Request| match request.extensions().get::<Crowded>() {
            Some(Crowded) => StatusCode::TOO_MANY_REQUESTS,
            None => StatusCode::OK,
        };
        let orders = Router::new().route("/orders", get(orders));
        let router = router(Health::new(&[]), Some(orders));
        tokio::spawn(serve(listener.into(), router, 2, CancellationToken::new()));
        address
    }

    /// Sends a request, and answers the first line of what comes back; empty when the connection is closed.
    async fn ask(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(format!("{request} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let length = stream.read(&mut answer).await.unwrap_or_default();
        String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn health_is_answered_when_all_places_are_taken() {
        let address = start().await;
        let mut taken = Vec::new();
        for _ in 0..2 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert_eq!(ask(&mut stream, "GET /orders").await, "HTTP/1.1 200 OK");
            taken.push(stream);
        }
        // Many more that are silent: the one that comes last has a place all the same.
        for _ in 0..SPARE_CONNECTIONS * 2 {
            taken.push(TcpStream::connect(address).await.unwrap());
        }
        for (request, wanted) in [
            ("GET /livez", "HTTP/1.1 200 OK"),
            ("GET /metrics", "HTTP/1.1 200 OK"),
            ("GET /orders", "HTTP/1.1 429 Too Many Requests"),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            assert_eq!(ask(&mut stream, request).await, wanted, "{request}");
        }
        assert_eq!(ask(&mut taken[0], "GET /orders").await, "HTTP/1.1 200 OK");
    }

    #[tokio::test]
    async fn a_wrong_method_is_refused_in_json() {
        let mut stream = TcpStream::connect(start().await).await.unwrap();
        stream.write_all(b"POST /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 405") && head.contains("allow: GET,HEAD"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["code"], &body["status"]), (&json!(405), &json!("UNIMPLEMENTED")));
    }
}
