//! Boot, serve, drain: what a Holdfast process does around its own work.
//!
//! Every gRPC call passes, from the outside in: the span and the metrics of the call (`observe`), the end of a panic
//! (`panic`), the deadline (`deadline`), the blame for what cannot be read (`malformed`). Every process also answers `/livez`, `/readyz` and `/metrics` over HTTP.
//! Owns no business: what is served, and what readiness depends on, comes from the service.

mod client;
mod deadline;
mod grpc;
mod health;
mod health_service;
mod http;
mod jobs;
mod malformed;
mod observe;
mod panic;
mod terminate;

use std::time::Duration;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

pub use client::{Channel, channel};
pub use deadline::time_left;
pub use health::{Health, Part, PartState, Snapshot};
pub use jobs::Jobs;
pub use terminate::on_terminate;

/// How long calls in flight are waited for once the process is to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);
/// How much may be on its way on one HTTP/2 stream before it is read, by client and server alike: a batch, whole.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
/// The same for all streams of a connection together.
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;

/// Where a service listens: bound already, so that tests may use port 0.
#[derive(Debug)]
pub struct Endpoints {
    /// For gRPC.
    pub grpc: TcpListener,
    /// For health and metrics over HTTP.
    pub http: TcpListener,
}

/// Serves `routes`, with reflection and health beside them, until `stop`; then drains for at most 10 s.
///
/// While it drains the process is not ready; HTTP goes on to the end.
///
/// # Errors
/// The reflection data is unreadable, or the accepting of connections failed for good.
pub async fn serve(
    endpoints: Endpoints,
    routes: Routes,
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let drained = CancellationToken::new();
    let http = http::run(endpoints.http, health.clone(), drained.clone());
    let grpc = async {
        grpc::run(endpoints.grpc, routes, health, stop).await?;
        drained.cancel();
        Ok(())
    };
    tokio::try_join!(grpc, http)?;
    Ok(())
}

/// Serves health and metrics over HTTP until `stop`: for a process without gRPC.
///
/// # Errors
/// The accepting of connections failed for good.
pub async fn serve_http(
    listener: TcpListener,
    health: Health,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let draining = health.clone();
    let closing = CancellationToken::new();
    let stopped = async {
        stop.cancelled().await;
        draining.drain();
        closing.cancel();
        Ok(())
    };
    tokio::try_join!(http::run(listener, health, closing.clone()), stopped)?;
    Ok(())
}
