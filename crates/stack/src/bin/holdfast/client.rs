//! gRPC clients of the running services.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, Result};
use proto::catalog::catalog_service_client::CatalogServiceClient;
use proto::reservation::booking_service_client::BookingServiceClient;
use tonic::transport::{Channel, Endpoint};

use crate::ports::PortOptions;

/// Both public services.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    /// The catalog.
    pub(crate) catalog: CatalogServiceClient<Channel>,
    /// The reservation service.
    pub(crate) bookings: BookingServiceClient<Channel>,
}

impl Clients {
    /// Connects to both.
    pub(crate) async fn connect(ports: &PortOptions) -> Result<Self> {
        Ok(Self {
            catalog: CatalogServiceClient::new(channel("catalog", ports.catalog).await?),
            bookings: BookingServiceClient::new(channel("reservation", ports.reservation).await?),
        })
    }
}

async fn channel(name: &str, port: u16) -> Result<Channel> {
    let endpoint =
        Endpoint::from_shared(format!("http://127.0.0.1:{port}"))?.timeout(Duration::from_secs(10));
    endpoint.connect().await.with_context(|| format!("{name} does not answer on 127.0.0.1:{port}"))
}

/// Runs asynchronous work from a command.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Runtime::new().context("start the runtime")?.block_on(work)
}
