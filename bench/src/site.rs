//! A running Holdfast of its own for a scenario, and its books.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use proto::catalog::catalog_service_client::CatalogServiceClient;
use proto::catalog::{ListProductsRequest, ListSeatMapsRequest};
use stack::{Options, Schema, ServiceKind, Stack};
use tokio::runtime::{Builder, Runtime};
use tonic::Request;
use tonic::transport::{Channel, Endpoint};

use crate::load::{Token, bearer, request};

/// Longer than any scenario.
const RUN: Duration = Duration::from_hours(4);
/// How long what goes on behind the answers may take to be done.
const SETTLE_LIMIT: Duration = Duration::from_mins(3);
/// Segments of PostgreSQL's log to have ready, and the size of one (`wal_segment_size`).
const SEGMENTS: usize = 64;
const SEGMENT_MB: usize = 16;

/// A stack with durable settings, and clients of it.
#[derive(Debug)]
pub struct Site {
    /// Everything that runs.
    pub stack: Stack,
    /// The catalogs' URLs.
    pub catalogs: Vec<String>,
    /// The reservation services' URLs.
    pub reservations: Vec<String>,
    /// What the operator shows, where callers are asked who they are.
    pub operator: Option<Token>,
    runtime: Runtime,
    catalog: CatalogServiceClient<Channel>,
}

/// Units or seats that holds have.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// In open holds.
    pub held: u64,
    /// Sold.
    pub sold: u64,
}

impl Site {
    /// Starts a stack that survives a crash of the machine, as production does.
    ///
    /// # Errors
    /// It does not start, or PostgreSQL is not as durable as it should be.
    pub fn start(options: Options) -> Result<Self> {
        let options = options.postgres("min_wal_size", &format!("{}MB", SEGMENTS * SEGMENT_MB));
        let stack = Stack::start(Options { durable: true, ..options }).context("start a stack")?;
        for setting in ["fsync", "full_page_writes", "synchronous_commit"] {
            let value = stack.postgres().query("postgres", &format!("show {setting}"))?;
            ensure!(value == "on", "{setting} is {value}");
        }
        let urls = |kind| {
            let services = stack.services().iter().filter(move |service| service.kind() == kind);
            services.map(stack::Service::url).collect::<Vec<_>>()
        };
        let (catalogs, reservations) = (urls(ServiceKind::Catalog), urls(ServiceKind::Reservation));
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let channel = {
            let _inside = runtime.enter();
            Endpoint::from_shared(stack.catalog_url())?.timeout(Duration::from_secs(30)).connect_lazy()
        };
        let catalog = CatalogServiceClient::new(channel);
        let token = stack.issuer().map(|issuer| bearer(&issuer.token("operator", "operator", RUN)));
        let operator = token.transpose()?;
        Ok(Self { stack, catalogs, reservations, operator, runtime, catalog })
    }

    /// Has PostgreSQL fill segments of its log and keep them to be used again, as a server has that has run for an hour. A new one
    /// makes each 16 MB of it first, and all commits wait meanwhile: every two seconds, at the rates measured here.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub fn write_ahead(&self) -> Result<()> {
        let fill = format!(
            "do $$ begin for i in 1..{SEGMENTS} loop
                 perform pg_logical_emit_message(true, '', ''); perform pg_switch_wal();
             end loop; end $$"
        );
        // What was written before, by anyone, is not to be written out meanwhile either.
        rustix::fs::sync();
        self.stack.postgres().query("postgres", &fill)?;
        self.stack.postgres().query("postgres", "checkpoint")?;
        Ok(())
    }

    /// What all holds together have, by the catalog's own counts.
    ///
    /// # Errors
    /// A call failed.
    pub fn taken(&self) -> Result<Taken> {
        self.runtime.block_on(async {
            let (mut catalog, mut taken) = (self.catalog.clone(), Taken::default());
            let mut page = ListProductsRequest { page_size: 1_000, page_token: String::new() };
            loop {
                let answer = catalog.list_products(self.asked(page.clone())).await?.into_inner();
                for product in &answer.products {
                    taken.held += u64::try_from(product.held)?;
                    taken.sold += u64::try_from(product.sold)?;
                }
                page.page_token = answer.next_page_token;
                if page.page_token.is_empty() {
                    break;
                }
            }
            let mut page = ListSeatMapsRequest { page_size: 1_000, page_token: String::new() };
            loop {
                let answer = catalog.list_seat_maps(self.asked(page.clone())).await?.into_inner();
                for map in &answer.seat_maps {
                    taken.held += u64::try_from(map.held_seats)?;
                    taken.sold += u64::try_from(map.sold_seats)?;
                }
                page.page_token = answer.next_page_token;
                if page.page_token.is_empty() {
                    return Ok(taken);
                }
            }
        })
    }

    /// A request of the operator.
    fn asked<T>(&self, message: T) -> Request<T> {
        request(message, self.operator.as_ref())
    }

    /// How many products have units in open holds, of the first 1,000.
    ///
    /// # Errors
    /// A call failed.
    pub fn products_held(&self) -> Result<usize> {
        let page = ListProductsRequest { page_size: 1_000, page_token: String::new() };
        let answer = self.runtime.block_on(self.catalog.clone().list_products(self.asked(page)))?;
        Ok(answer.into_inner().products.iter().filter(|product| product.held > 0).count())
    }

    /// Checks that units taken and bookings on record are exactly those that were acknowledged, once everything is settled.
    ///
    /// # Errors
    /// They are not: something was lost, or taken twice.
    pub fn check_books(&self, acknowledged: Taken) -> Result<()> {
        self.drain()?;
        let start = Instant::now();
        loop {
            let taken = self.taken()?;
            if taken == acknowledged {
                break;
            }
            ensure!(
                start.elapsed() < Duration::from_secs(10),
                "the catalog has {taken:?}, but {acknowledged:?} were acknowledged"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        let recorded = Taken {
            held: self.count(Schema::Reservation, "bookings where state in ('HELD', 'PAYMENT_PENDING')")?,
            sold: self.count(Schema::Reservation, "bookings where state = 'CONFIRMED'")?,
        };
        ensure!(
            recorded == acknowledged,
            "bookings are {recorded:?}, but {acknowledged:?} were acknowledged"
        );
        Ok(())
    }

    /// Waits until every promise in the outbox is kept, and answers how long that took: what is still to be done after the last
    /// answer must not fall into the time of whoever is measured next.
    ///
    /// # Errors
    /// It takes too long.
    pub fn drain(&self) -> Result<Duration> {
        let start = Instant::now();
        loop {
            if self.count(Schema::Reservation, "outbox")? == 0 {
                return Ok(start.elapsed());
            }
            if start.elapsed() > SETTLE_LIMIT {
                bail!("the outbox is not empty after {SETTLE_LIMIT:?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// How many rows there are: `bookings where state = 'HELD'`.
    ///
    /// # Errors
    /// PostgreSQL refuses.
    pub fn count(&self, schema: Schema, what: &str) -> Result<u64> {
        let text = self
            .stack
            .postgres()
            .query(schema.name(), &format!("/* bench */ select count(*) from {what}"))?;
        text.parse().with_context(|| format!("{text:?} is not a count"))
    }
}
