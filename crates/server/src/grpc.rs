//! The gRPC listener: limits, keepalive, reflection, health, and the way out.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::TcpIncoming};
use tonic_health::pb::health_server::HealthServer;
use tonic_reflection::server as reflection;

use crate::{
    Access, Admission, Calls, DRAIN_LIMIT, Health, Listener, Services, guard::Guard,
    health_service::HealthService, incoming, tls,
};

/// Connections at a time; one more is closed at once.
const MAX_CONNECTIONS: usize = 512;
/// Calls in flight on one connection; a client with more waits, so it is more than a client should have.
const MAX_STREAMS: u32 = 2048;
/// Calls of one connection that were given up before they were looked at; one more, and it is closed. Who gives up calls has mostly
/// waited for them first: only who resets them with the same stroke gets here.
const MAX_UNSEEN_RESETS: usize = 256;
/// The headers of a call, by HTTP/2's count; a token takes some 2 KiB.
const MAX_HEADER_BYTES: u32 = 16 << 10;
/// How much of one request may be on its way before it is read.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// The same for all requests over a connection together: with [`MAX_CONNECTIONS`] it bounds what unread requests take.
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// The largest message to health and reflection: names. Calls of reflection stay open, and are not read before they have places.
const MAX_NAME_BYTES: usize = 16 << 10;
/// A silent connection is asked for a sign of life this often, and closed without one.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until `stop`, then drains.
pub(crate) async fn run(
    listener: Listener,
    services: Services,
    health: Health,
    admission: Admission,
    access: Access,
    calls: Calls,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let guard = Guard::new(complete(services, &health)?, admission, access);
    calls.open(guard.clone());
    // What connects from now on waits for its turn, and is not refused.
    health.serve();
    let incoming = TcpIncoming::from(listener.tcp)
        .with_nodelay(Some(true))
        .with_keepalive(Some(KEEPALIVE_INTERVAL))
        .with_keepalive_interval(Some(KEEPALIVE_TIMEOUT));
    let incoming = tls::secured(incoming, listener.acceptor);
    let draining = async {
        stop.cancelled().await;
        health.drain();
        calls.close();
    };
    let serving = Server::builder()
        .max_concurrent_streams(MAX_STREAMS)
        .http2_max_pending_accept_reset_streams(Some(MAX_UNSEEN_RESETS))
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .serve_with_incoming_shutdown(guard, incoming::limited(incoming, MAX_CONNECTIONS), draining);
    let limit = async {
        stop.cancelled().await;
        sleep(DRAIN_LIMIT).await;
    };
    let served = async {
        serving.await.context("serve gRPC")?;
        calls.finished().await;
        Ok(())
    };
    tokio::select! {
        served = served => served,
        // Waiting for the last connection can hang: https://github.com/hyperium/hyper/issues/4170
        () = limit => bail!("calls were still in flight after {} s of draining", DRAIN_LIMIT.as_secs()),
    }
}

/// Adds reflection, v1 and v1alpha, and health.
fn complete(services: Services, health: &Health) -> anyhow::Result<Services> {
    let reflection = described(health, "grpc.reflection.v1.ServerReflection").build_v1();
    let old_reflection = described(health, "grpc.reflection.v1alpha.ServerReflection").build_v1alpha();
    let (reflection, old_reflection) =
        (reflection.context("read the descriptors")?, old_reflection.context("read the descriptors")?);
    let health = HealthServer::new(HealthService::new(health.clone()));
    Ok(services
        .with(health.max_decoding_message_size(MAX_NAME_BYTES))
        .with(reflection.max_decoding_message_size(MAX_NAME_BYTES))
        .with(old_reflection.max_decoding_message_size(MAX_NAME_BYTES)))
}

/// What reflection knows: all of the API, of which it lists what this process serves.
fn described(health: &Health, reflection: &str) -> reflection::Builder<'static> {
    let services = health.services().iter().copied().chain(["grpc.health.v1.Health", reflection]);
    let builder = reflection::Builder::configure()
        .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        // google.rpc: so that clients can show the details of an error.
        .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
    services.fold(builder, reflection::Builder::with_service_name)
}
