//! Health and metrics over HTTP, `/livez`, `/readyz`, `/metrics`, beside what else a service has there.

use std::time::Duration;

use ::http::{StatusCode, header::CONTENT_TYPE};
use anyhow::Context as _;
use axum::{Router, extract::State, response::IntoResponse, routing::get, serve::ListenerExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpListener, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{Health, PartState, Snapshot};

/// How long open requests are waited for once the process is to stop.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// Serves until `stop`.
pub(crate) async fn run(
    listener: TcpListener,
    health: Health,
    more: Option<Router>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
        .merge(more.unwrap_or_default());
    // An answer is written in one go: it is not to wait for more.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let limit = async {
        stop.cancelled().await;
        sleep(CLOSE_LIMIT).await;
    };
    tokio::select! {
        served = async { serving.await } => served.context("serve HTTP"),
        () = limit => Ok(()),
    }
}

async fn readyz(State(health): State<Health>) -> impl IntoResponse {
    let snapshot = health.snapshot();
    let status = if snapshot.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(CONTENT_TYPE, "application/json")], format!("{}\n", describe(&snapshot)))
}

async fn metrics() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], telemetry::metrics_text())
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
