//! Health and metrics over HTTP, `/livez`, `/readyz`, `/metrics`, beside what else a service has there.

use std::{collections::VecDeque, io, sync::Arc, time::Duration};

use ::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use futures::{Stream, StreamExt as _, stream};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{
        conn::auto::Builder,
        graceful::{GracefulShutdown, Watcher},
    },
    service::TowerToHyperService,
};
use serde_json::{Value, json};
use telemetry::Exposition;
use tokio::{
    net::{TcpListener, TcpStream},
    task::AbortHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Health, Listener, PartState, Snapshot,
    answering::Answering,
    head::{Heads, Patience},
    places::{Places, Seat},
    reader::Reader,
    refused,
    ruled::Ruled,
    tls::{self, Transport},
    unparsed::Unparsed,
};

/// Connections at a time that may call whatever there is.
pub const MAX_HTTP_CONNECTIONS: usize = 1_024;
/// Connections beyond them, for one request each, and for health and metrics alone. One more takes the place of the oldest.
const SPARE_CONNECTIONS: usize = 64;
/// How long a connection must not have been used to make place for another one.
const IDLE: Duration = Duration::from_secs(1);
/// A connection between requests is kept for longer than proxies keep theirs (nginx and Amazon's 60 s, Google's 10 min), so that
/// none sends a request over one that is just being closed.
const PATIENCE: Patience = Patience { head: Duration::from_secs(10), silence: Duration::from_secs(620) };
/// The same for a spare connection.
const SPARE_PATIENCE: Patience = Patience { head: Duration::from_secs(2), silence: Duration::from_secs(2) };
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
    refused::show();
    let door = Door::new(router(health.clone(), more), health, Places::new(MAX_HTTP_CONNECTIONS, IDLE));
    door.serve(listener, stop).await;
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

/// Where connections come in.
struct Door {
    router: Router,
    health: Health,
    places: Places,
    /// Those that have no place, the oldest first.
    spare: VecDeque<AbortHandle>,
    server: Builder<TokioExecutor>,
    spare_server: Builder<TokioExecutor>,
}

impl Door {
    fn new(router: Router, health: Health, places: Places) -> Self {
        let (server, spare_server) = (server(true), server(false));
        Self { router, health, places, spare: VecDeque::new(), server, spare_server }
    }

    async fn serve(mut self, listener: Listener, stop: CancellationToken) {
        let open = GracefulShutdown::new();
        let mut incoming = Box::pin(tls::secured(Box::pin(accepted(listener.tcp)), listener.acceptor));
        while let Some(Some(stream)) = stop.run_until_cancelled(incoming.next()).await {
            let Ok(stream) = stream else { continue };
            self.open(stream, open.watcher());
        }
        drop(incoming);
        let _ = timeout(CLOSE_LIMIT, open.shutdown()).await;
    }

    /// Answers what comes over a connection.
    fn open(&mut self, stream: Transport, watcher: Watcher) {
        let address = stream.address();
        let seat = self.places.enter(address).map(Arc::new);
        let (server, patience) = match &seat {
            Some(_) => (&self.server, PATIENCE),
            None => (&self.spare_server, SPARE_PATIENCE),
        };
        let answering = Answering {
            router: self.router.clone(),
            health: self.health.clone(),
            address,
            seat: seat.clone(),
        };
        let stream = Ruled { stream, rule: Reader::default() };
        let stream = Ruled { stream, rule: Heads::new(seat.clone(), patience) };
        let stream = TokioIo::new(Unparsed::new(stream));
        let connection = server.serve_connection(stream, TowerToHyperService::new(answering)).into_owned();
        let connection = watcher.watch(connection);
        let is_spare = seat.is_none();
        let task = tokio::spawn(async move {
            tokio::select! {
                // What goes wrong here is between a client and its connection.
                _ = connection => {}
                () = lost(seat.as_deref()) => {}
            }
        });
        if is_spare {
            self.keep(task.abort_handle());
        }
    }

    fn keep(&mut self, task: AbortHandle) {
        self.spare.retain(|task| !task.is_finished());
        if self.spare.len() == SPARE_CONNECTIONS
            && let Some(oldest) = self.spare.pop_front()
        {
            oldest.abort();
        }
        self.spare.push_back(task);
    }
}

/// Waits until the place of a connection is lost, if it has one.
async fn lost(seat: Option<&Seat>) {
    match seat {
        Some(seat) => seat.lost().await,
        None => std::future::pending().await,
    }
}

/// HTTP/1.1 alone: who speaks HTTP/2 has the gRPC port. With so much memory for a connection and no more; its patience is its
/// stream's ([`Heads`]).
fn server(keep_alive: bool) -> Builder<TokioExecutor> {
    let mut server = Builder::new(TokioExecutor::new()).http1_only();
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
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
    refused::over_http(StatusCode::METHOD_NOT_ALLOWED);
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
        "serving": snapshot.serving,
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
    async fn start(idle: Duration) -> (SocketAddr, Health) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let orders = async |request: Request| match request.extensions().get::<Crowded>() {
            Some(Crowded) => StatusCode::TOO_MANY_REQUESTS,
            None => StatusCode::OK,
        };
        let orders = Router::new().route("/orders", get(orders));
        let health = Health::new(&[]);
        let door = Door::new(router(health.clone(), Some(orders)), health.clone(), Places::new(2, idle));
        tokio::spawn(door.serve(listener.into(), CancellationToken::new()));
        (address, health)
    }

    /// For as long as a test takes.
    const LONG: Duration = Duration::from_hours(1);

    /// Sends a request, and answers the first line of what comes back; empty when the connection is closed.
    async fn ask(stream: &mut TcpStream, request: &str) -> String {
        stream.write_all(format!("{request} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = vec![0; 4_096];
        let length = stream.read(&mut answer).await.unwrap_or_default();
        String::from_utf8_lossy(&answer[..length]).lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test]
    async fn health_is_answered_when_all_places_are_taken() {
        let (address, _) = start(LONG).await;
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
        let mut stream = TcpStream::connect(start(LONG).await.0).await.unwrap();
        stream.write_all(b"POST /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 405") && head.contains("allow: GET,HEAD"), "{head}");
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!((&body["code"], &body["status"]), (&json!(405), &json!("UNIMPLEMENTED")));
    }

    #[tokio::test]
    async fn who_does_nothing_makes_place_for_who_does() {
        let (address, _) = start(Duration::ZERO).await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut stream, "GET /orders").await, "HTTP/1.1 200 OK");
        assert_eq!(silent[0].read(&mut [0]).await.unwrap_or_default(), 0, "it was closed");
    }

    #[tokio::test]
    async fn who_asks_during_the_drain_is_told_to_come_back_over_another_connection() {
        let (address, health) = start(LONG).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(ask(&mut stream, "GET /orders").await, "HTTP/1.1 200 OK");
        health.drain();
        stream.write_all(b"GET /orders HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test]
    async fn what_is_no_http_is_refused_in_json() {
        let (address, _) = start(LONG).await;
        let (long, many) = ("x".repeat(70_000), "x: y\r\n".repeat(200));
        for (request, status) in [
            ("nonsense\r\n\r\n".to_owned(), 400),
            // Or 431: what comes in one read may be too long for a path, or already too much without the end of the head.
            (format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"), 414),
            (format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431),
        ] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(request.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer).await;
            let answer = String::from_utf8(answer).unwrap();
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            let status = if status == 414 && head.starts_with("HTTP/1.1 431") { 431 } else { status };
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{status}: {head}");
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!((&body["code"], &body["status"]), (&json!(status), &json!("INVALID_ARGUMENT")));
        }
    }
}
