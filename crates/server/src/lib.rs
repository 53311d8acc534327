//! Boot, serve, drain: what a Holdfast process does around its own work.
//!
//! Every gRPC call passes (`guard`), from the outside in: the span and the metrics of the call (`observe`), the end of a panic
//! (`panic`), the deadline (`deadline`), the question who calls (`access`), the limit on how often they do (`rate`), the arrival of all
//! of its request (`arrivals`), the limit on calls in flight (`admission`), the blame for what cannot be read
//! (`malformed`). Calls that come from within the process (`calls`) pass the same. Every process also answers `/livez`, `/readyz`
//! and `/metrics` over HTTP. Both ports, and calls to other services, speak TLS where there are certificates (`tls`).
//! Owns no business: what is served, and what readiness depends on, comes from the service.

mod access;
mod address;
mod admission;
mod answering;
mod arrivals;
mod calls;
mod client;
mod commands;
mod deadline;
mod directory;
mod ending;
mod grpc;
mod guard;
mod head;
mod health;
mod health_service;
mod healthcheck;
mod http;
mod incoming;
mod jobs;
mod listener;
mod malformed;
mod methods;
mod observe;
mod outgoing;
mod panic;
mod places;
mod rate;
mod reader;
mod refusals;
mod refused;
mod replica;
mod replicas;
mod responses;
mod room;
mod ruled;
mod services;
mod share;
mod terminate;
mod tls;
mod token;
mod trailers;
mod unparsed;

use std::time::Duration;

use axum::Router;
use tokio_util::sync::CancellationToken;

pub use access::{Access, Caller};
pub use address::Address;
pub use admission::Admission;
pub use arrivals::{Arrivals, Late};
pub use calls::Calls;
pub use client::{Channel, channel, channel_by, check_urls};
pub use commands::{Command, Settings, parse};
pub use deadline::{caller_waits_until, time_left};
pub use directory::Lookup;
pub use ending::{end, misconfigured};
pub use health::{Health, Part, PartState, Snapshot};
pub use http::{Crowded, MAX_HTTP_CONNECTIONS};
pub use jobs::Jobs;
pub use listener::{Endpoints, Listener};
pub use rate::{Penalties, RateConfig};
pub use refusals::count_refusal;
pub use refused::over_http as count_refused_over_http;
pub use room::{Place, Room};
pub use services::Services;
pub use share::{Busy, Share, Turn};
pub use terminate::on_terminate;
pub use tls::{CallsConfig, Dialer, Name, Peer, PeerCertificate, TlsConfig};
pub use token::{TokenConfig, TokenFile};

/// How long calls in flight are waited for once the process is to stop.
const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// Serves `services`, with reflection and health beside them, until `stop`; then drains for at most 10 s, not ready. Opens
/// `calls` to all of it meanwhile.
///
/// # Errors
/// The reflection data is unreadable, the accepting of connections failed for good, or calls were still in flight when the
/// drain ended.
pub async fn serve(
    listener: impl Into<Listener>,
    services: Services,
    health: Health,
    admission: Admission,
    access: Access,
    calls: Calls,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    grpc::run(listener.into(), services, health, admission, access, calls, stop).await
}

/// Answers for health and metrics over HTTP until `stop`, and for whatever `more` has: to be started before anything else, and
/// stopped last.
pub async fn serve_http(
    listener: impl Into<Listener>,
    health: Health,
    more: Option<Router>,
    stop: CancellationToken,
) {
    http::run(listener.into(), health, more, stop).await;
}
