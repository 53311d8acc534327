//! The calls to both services, each tried again while the service is away or busy.

use std::{fmt, time::Duration};

use proto::{
    catalog::{self as catalog, audit_service_client::AuditServiceClient as CatalogClient},
    reservation::{self as reservation, audit_service_client::AuditServiceClient as ReservationClient},
};
use server::Channel;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Status};

use crate::{Error, Options};

/// How long one call may take: longer than a service lets it.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);
/// How long the sums of all products and customers may take: longer than the catalog lets them.
const SCAN_TIMEOUT: Duration = Duration::from_secs(270);
/// The wait before the next try, unless the service says otherwise.
const RETRY_DELAY: Duration = Duration::from_millis(250);

/// Both services.
#[derive(Clone)]
pub(crate) struct Services {
    catalog: CatalogClient<Channel>,
    reservation: ReservationClient<Channel>,
    patience: Duration,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

/// Makes a call again and again while its failure may pass.
macro_rules! insist {
    ($self:ident, $service:ident, $call:ident, $request:expr) => {{
        let request = $request;
        let mut given_up = None;
        loop {
            let mut client = $self.$service.clone();
            match client.$call(request.clone()).await {
                Ok(response) => break Ok(response.into_inner()),
                Err(status) => {
                    $self.again(&mut given_up, stringify!($service), stringify!($call), status).await?;
                }
            }
        }
    }};
}

impl Services {
    /// The services of these options. Must be called within the runtime.
    pub(crate) fn new(options: &Options) -> Result<Self, Error> {
        options.token.check().map_err(Error::Token)?;
        let (dialer, token) = (options.calls.dialer().map_err(Error::Url)?, options.token.file());
        let channel = |url: &str| {
            let channel = dialer.channel(url, CALL_TIMEOUT).map_err(Error::Url)?;
            Ok::<_, Error>(channel.with_token(token.clone()))
        };
        Ok(Self {
            catalog: CatalogClient::new(channel(&options.catalog_url)?),
            reservation: ReservationClient::new(channel(&options.reservation_url)?),
            patience: options.patience(),
        })
    }

    /// Waits for the next try, or gives up: `until` is when, set by the first failure.
    async fn again(
        &self,
        until: &mut Option<Instant>,
        service: &'static str,
        call: &'static str,
        status: Status,
    ) -> Result<(), Error> {
        let until = *until.get_or_insert_with(|| Instant::now() + self.patience);
        let passes = matches!(
            status.code(),
            Code::Unavailable
                | Code::DeadlineExceeded
                | Code::ResourceExhausted
                | Code::Aborted
                | Code::Cancelled
        );
        if !passes || Instant::now() >= until {
            return Err(Error::Call { service, call, status: Box::new(status) });
        }
        sleep(api::retry_delay_of(&status).unwrap_or(RETRY_DELAY)).await;
        Ok(())
    }

    /// The sums of all products.
    pub(crate) async fn audit_products(&self) -> Result<catalog::AuditProductsResponse, Error> {
        let mut given_up = None;
        loop {
            match self.scan_products().await {
                Ok(response) => return Ok(response),
                Err(status) => self.again(&mut given_up, "catalog", "audit_products", status).await?,
            }
        }
    }

    async fn scan_products(&self) -> Result<catalog::AuditProductsResponse, Status> {
        let request = catalog::AuditProductsRequest {};
        let mut messages = self.catalog.clone().audit_products(request).await?.into_inner();
        let message = timeout(SCAN_TIMEOUT, messages.message()).await;
        let message = message.map_err(|_| Status::deadline_exceeded("the sums took too long"))??;
        message.ok_or_else(|| Status::unavailable("the catalog ended its answer without one"))
    }

    /// A page of seats.
    pub(crate) async fn audit_seats(
        &self,
        request: catalog::AuditSeatsRequest,
    ) -> Result<catalog::AuditSeatsResponse, Error> {
        insist!(self, catalog, audit_seats, request)
    }

    /// A page of holds.
    pub(crate) async fn audit_holds(
        &self,
        request: catalog::AuditHoldsRequest,
    ) -> Result<catalog::AuditHoldsResponse, Error> {
        insist!(self, catalog, audit_holds, request)
    }

    /// Holds by their keys.
    pub(crate) async fn get_holds(
        &self,
        request: catalog::GetHoldsRequest,
    ) -> Result<catalog::GetHoldsResponse, Error> {
        insist!(self, catalog, get_holds, request)
    }

    /// Whether the holds that bookings have are there.
    pub(crate) async fn audit_claims(
        &self,
        request: catalog::AuditClaimsRequest,
    ) -> Result<catalog::AuditClaimsResponse, Error> {
        insist!(self, catalog, audit_claims, request)
    }

    /// A page of bookings.
    pub(crate) async fn audit_bookings(
        &self,
        request: reservation::AuditBookingsRequest,
    ) -> Result<reservation::AuditBookingsResponse, Error> {
        insist!(self, reservation, audit_bookings, request)
    }

    /// What is to be thought of holds.
    pub(crate) async fn compare_holds(
        &self,
        request: reservation::CompareHoldsRequest,
    ) -> Result<reservation::CompareHoldsResponse, Error> {
        insist!(self, reservation, compare_holds, request)
    }
}
