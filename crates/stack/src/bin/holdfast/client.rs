//! gRPC clients of the running services.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use proto::catalog::catalog_service_client::CatalogServiceClient;
use proto::reservation::booking_service_client::BookingServiceClient;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::{Interceptor, interceptor::InterceptedService};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::ports::PortOptions;
use crate::token;

/// How long the operator's token is good for that the commands show.
const TOKEN_LIFE: Duration = Duration::from_hours(1);

/// The way to a service.
type Wire = InterceptedService<Channel, Bearer>;

/// Shows a token with each call, if there is one.
#[derive(Clone, Debug)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.0 {
            request.metadata_mut().insert("authorization", token.clone());
        }
        Ok(request)
    }
}

/// Both public services.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    /// The catalog.
    pub(crate) catalog: CatalogServiceClient<Wire>,
    /// The reservation service.
    pub(crate) bookings: BookingServiceClient<Wire>,
}

impl Clients {
    /// Connects to both; `auth`: as an operator, by a token of this folder's issuer.
    pub(crate) async fn connect(home: &Path, ports: &PortOptions, auth: bool) -> Result<Self> {
        let mut bearer = Bearer(None);
        if auth {
            let token = token::issuer(home)?.token("holdfast", "operator", TOKEN_LIFE);
            bearer.0 = Some(format!("Bearer {token}").parse().context("a token is a header")?);
        }
        let catalog = channel("catalog", ports.catalog).await?;
        let reservation = channel("reservation", ports.reservation).await?;
        Ok(Self {
            catalog: CatalogServiceClient::with_interceptor(catalog, bearer.clone()),
            bookings: BookingServiceClient::with_interceptor(reservation, bearer),
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
