//! A stack as its clients see it.

use std::{sync::Arc, time::Duration};

use proto::{
    catalog::{catalog_service_client::CatalogServiceClient, hold_service_client::HoldServiceClient},
    reservation::{
        booking_service_client::BookingServiceClient, settlement_service_client::SettlementServiceClient,
    },
};
use server::CallsConfig;
use sqlx::{Connection as _, PgConnection};
use stack::{Pki, Schema, Service, ServiceKind, Stack};
use tonic::transport::{Channel, Endpoint};

use crate::{PATIENCE, secured_channel, shared};

/// Clients of one stack. To be made inside the runtime of the test that uses them; clones share the connections.
#[derive(Clone, Debug)]
pub struct World {
    /// The catalog's public API.
    pub catalog: CatalogServiceClient<Channel>,
    /// The catalog's internal API.
    pub holds: HoldServiceClient<Channel>,
    /// The reservation service's public API.
    pub bookings: BookingServiceClient<Channel>,
    /// The reservation service's internal API.
    pub settlement: SettlementServiceClient<Channel>,
    catalog_url: String,
    reservation_url: String,
    /// How services are called.
    calls: CallsConfig,
    catalog_database: String,
    reservation_database: String,
}

impl World {
    /// Of the shared stack.
    #[must_use]
    pub fn shared() -> Self {
        Self::of(shared())
    }

    /// Of this stack: its first catalog and its first reservation service.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        Self::through(stack, stack.catalog(), stack.reservation())
    }

    /// Of the shared stack, through the second replica of each service.
    #[must_use]
    pub fn shared_by_others() -> Self {
        let second = |kind| shared().services().iter().filter(|service| service.kind() == kind).nth(1);
        let catalog = second(ServiceKind::Catalog).expect("there are two");
        let reservation = second(ServiceKind::Reservation).expect("there are two");
        Self::through(shared(), catalog, reservation)
    }

    /// Of this stack, once for each replica of its reservation service and of its catalog.
    #[must_use]
    pub fn of_each_replica(stack: &Stack) -> Vec<Self> {
        let all = |kind| stack.services().iter().filter(move |service| service.kind() == kind);
        let pairs = all(ServiceKind::Catalog).zip(all(ServiceKind::Reservation));
        pairs.map(|(catalog, reservation)| Self::through(stack, catalog, reservation)).collect()
    }

    /// The same stack through another reservation service.
    #[must_use]
    pub fn with_reservation(self, reservation: &Service) -> Self {
        let channel = channel(None, &reservation.url());
        Self {
            bookings: BookingServiceClient::new(channel.clone()),
            settlement: SettlementServiceClient::new(channel),
            reservation_url: reservation.url(),
            ..self
        }
    }

    /// The same stack through another catalog.
    #[must_use]
    pub fn with_catalog(self, catalog: &Service) -> Self {
        let channel = channel(None, &catalog.url());
        Self {
            catalog: CatalogServiceClient::new(channel.clone()),
            holds: HoldServiceClient::new(channel),
            catalog_url: catalog.url(),
            ..self
        }
    }

    fn through(stack: &Stack, catalog: &Service, reservation: &Service) -> Self {
        let (catalog_url, reservation_url) = (catalog.url(), reservation.url());
        let pki = stack.pki().map(Arc::as_ref);
        let (catalog, reservation) = (channel(pki, &catalog_url), channel(pki, &reservation_url));
        Self {
            catalog_url,
            reservation_url,
            calls: CallsConfig { calls_ca_file: pki.map(Pki::ca), ..CallsConfig::default() },
            catalog: CatalogServiceClient::new(catalog.clone()),
            holds: HoldServiceClient::new(catalog),
            bookings: BookingServiceClient::new(reservation.clone()),
            settlement: SettlementServiceClient::new(reservation),
            catalog_database: stack.database_url(Schema::Catalog),
            reservation_database: stack.database_url(Schema::Reservation),
        }
    }

    /// How to audit it: with no tolerance for clocks, as both databases have the same, and with patience for a machine
    /// that has much else to do.
    #[must_use]
    pub fn audit_options(&self) -> audit::Options {
        let patience_ms = u32::try_from(PATIENCE.as_millis()).expect("it is not that long");
        audit::Options {
            catalog_url: self.catalog_url.clone(),
            reservation_url: self.reservation_url.clone(),
            calls: self.calls.clone(),
            clock_tolerance_ms: 0,
            second_look_ms: patience_ms,
            patience_ms,
            ..audit::Options::default()
        }
    }

    /// A connection to the catalog's database.
    pub async fn catalog_database(&self) -> PgConnection {
        PgConnection::connect(&self.catalog_database).await.expect("the catalog's database is there")
    }

    /// A connection to the reservation service's database.
    pub async fn reservation_database(&self) -> PgConnection {
        PgConnection::connect(&self.reservation_database).await.expect("the reservation database is there")
    }
}

/// A connection that is made when it is used, and again when it was lost.
fn channel(pki: Option<&Pki>, url: &str) -> Channel {
    if let Some(pki) = pki {
        return secured_channel(&pki.client(None).expect("the authority is there"), url);
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).expect("the stack's URLs are valid");
    let endpoint = endpoint.tcp_nodelay(true).connect_timeout(Duration::from_secs(2));
    // Longer than any service takes to answer, so that a service that does not fails the test.
    endpoint.timeout(Duration::from_secs(20)).connect_lazy()
}
