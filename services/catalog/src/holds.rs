//! The units of work on holds, batch form first. Placing: look, decide in memory, take all in one guarded statement. Settling:
//! lock, decide in memory, write in one statement per table, commit.

use std::collections::BTreeSet;

use failpoint::{Step, reach};
use postgres::UnitOfWork;
use sqlx::{PgConnection, PgPool};

use crate::{
    domain::{
        customer::{Counted, CustomerId, CustomerLimit},
        hold::{HoldKey, Item},
        place::{self, PlaceRequest, Shelf},
        restore::{self, RestoreRequest},
        settle::{self, Verdict},
    },
    error::Error,
    store::{
        self, counts, holds,
        place::{Asked, Counts},
        shelf,
    },
};

/// How often a batch is tried that others were quicker than, the first time without locks.
const ATTEMPTS: usize = 3;

/// What this process is told about all holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How long after its time the sweep asks for a verdict on a hold that nobody settled, in ms.
    pub grace_ms: i64,
    /// The most open holds that one customer may have.
    pub open_holds_limit: CustomerLimit,
}

/// Places the holds with one statement, or, where others are quicker again and again, in a transaction that locks first; each
/// has its own outcome.
pub async fn place(
    pool: &PgPool,
    settings: Settings,
    requests: &[PlaceRequest],
) -> Result<Vec<place::Outcome>, Error> {
    let mut batch = Place { settings, requests, locks: false };
    let mut attempt = 1;
    loop {
        let outcomes = if batch.locks {
            postgres::transact(pool, &batch).await
        } else {
            postgres::autocommit(pool, &batch).await
        };
        match outcomes {
            Err(Error::Database(error)) if attempt < ATTEMPTS && lost(&error) => {
                attempt += 1;
                batch.locks = true;
            }
            outcomes => return outcomes,
        }
    }
}

/// Whether others were quicker: with what it wants, however often it looked again, or with one of its keys.
fn lost(error: &sqlx::Error) -> bool {
    postgres::is_conflict(error) || postgres::violates(error, "holds_pkey")
}

struct Place<'a> {
    settings: Settings,
    requests: &'a [PlaceRequest],
    /// Whether it locks what it wants before it looks, so that nobody can be quicker: in a transaction.
    locks: bool,
}

/// Looks and takes what it decided, all or nothing: when another was quicker it begins anew.
impl UnitOfWork for Place<'_> {
    type Output = Vec<place::Outcome>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        let found = look(conn, self.settings, self.requests.iter(), self.locks).await?;
        let place::Decision { outcomes, writes } = place::decide(found, self.requests);
        reach(Step::PlaceDecided).await?;
        if !writes.holds.is_empty() {
            store::place::take(conn, &writes, self.settings.grace_ms).await?;
            reach(Step::PlaceRecorded).await?;
        }
        Ok(outcomes)
    }
}

/// Puts holds back that were lost, in one transaction that locks first; each has its own outcome.
pub async fn restore(
    pool: &PgPool,
    settings: Settings,
    requests: &[RestoreRequest],
) -> Result<Vec<restore::Outcome>, Error> {
    postgres::transact(pool, &Restore { settings, requests }).await
}

struct Restore<'a> {
    settings: Settings,
    requests: &'a [RestoreRequest],
}

impl UnitOfWork for Restore<'_> {
    type Output = Vec<restore::Outcome>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        let requests = self.requests.iter().map(|request| &request.place);
        let found = look(conn, self.settings, requests, true).await?;
        let (outcomes, writes) = restore::decide(found, self.requests);
        if !writes.holds.is_empty() {
            store::place::take(conn, &writes, self.settings.grace_ms).await?;
            reach(Step::RestoreRecorded).await?;
        }
        Ok(outcomes)
    }
}

/// What a batch asks about, as it stands in one instant; with `locks` it stays so. Where something of it is limited it looks twice:
/// only then is it known whose counts matter. One that matters and was not looked at (a limit was set in between) is guarded where it
/// is taken, like the rest.
async fn look<'a>(
    conn: &mut PgConnection,
    settings: Settings,
    requests: impl Iterator<Item = &'a PlaceRequest> + Clone,
    locks: bool,
) -> Result<Shelf, Error> {
    let mut asked = asked(requests.clone());
    if locks {
        store::place::lock_products(conn, &asked).await?;
        store::place::lock_seats(conn, &asked).await?;
    }
    let mut found = store::place::look(conn, &asked).await?;
    asked.counts = counts_of(requests, settings, &found);
    if !asked.counts.is_empty() {
        if locks {
            store::place::lock_counts(conn, &asked).await?;
        }
        found = store::place::look(conn, &asked).await?;
    }
    Ok(Shelf { open_holds_limit: settings.open_holds_limit, ..found })
}

/// What a batch asks about: no product and no seat twice.
fn asked<'a>(requests: impl Iterator<Item = &'a PlaceRequest> + Clone) -> Asked<'a> {
    let keys = requests.clone().map(|request| request.key).collect();
    let (mut products, mut seats) = (BTreeSet::new(), BTreeSet::new());
    for item in requests.flat_map(|request| &request.items) {
        match item {
            Item::Product { product_id, .. } => drop(products.insert(product_id.as_uuid())),
            Item::Seat(seat) => drop(seats.insert(seat)),
        }
    }
    let (products, seats) = (products.into_iter().collect(), seats.into_iter().collect());
    Asked { keys, products, seats, ..Asked::default() }
}

/// Who of a batch asks for what of which one may have only so many.
fn counts_of<'a>(
    requests: impl Iterator<Item = &'a PlaceRequest>,
    settings: Settings,
    found: &Shelf,
) -> Counts<'a> {
    let mut counts = Counts::default();
    for request in requests {
        let Some(customer_id) = request.customer_id.as_ref().map(CustomerId::as_str) else { continue };
        if settings.open_holds_limit.most().is_some() {
            counts.push(customer_id, Counted::OpenHolds);
        }
        for item in request.items.iter().filter(|item| found.limits(item)) {
            let counted = match item {
                Item::Product { product_id, .. } => Counted::Product(*product_id),
                Item::Seat(seat) => Counted::SeatMap(seat.seat_map_id),
            };
            counts.push(customer_id, counted);
        }
    }
    counts
}

/// Carries the verdicts over to the holds, in one transaction; each has its own outcome.
pub async fn settle(pool: &PgPool, verdicts: &[(HoldKey, Verdict)]) -> Result<Vec<settle::Outcome>, Error> {
    let outcomes = postgres::transact(pool, &Settle { verdicts }).await?;
    reach(Step::SettleCommitted).await?;
    Ok(outcomes)
}

struct Settle<'a> {
    verdicts: &'a [(HoldKey, Verdict)],
}

impl UnitOfWork for Settle<'_> {
    type Output = Vec<settle::Outcome>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        let keys: BTreeSet<HoldKey> = self.verdicts.iter().map(|(key, _)| *key).collect();
        let locked = holds::lock(conn, &Vec::from_iter(keys)).await?;
        reach(Step::SettleLocked).await?;
        let settle::Decision { outcomes, writes } = settle::decide(locked, self.verdicts);
        if !writes.holds.is_empty() {
            holds::settle(conn, &writes.holds).await?;
            reach(Step::SettleRecorded).await?;
        }
        if !writes.reviews.is_empty() {
            holds::review_later(conn, &writes.reviews).await?;
            reach(Step::SettleReviewed).await?;
        }
        if !writes.products.is_empty() {
            shelf::settle_products(conn, &writes.products).await?;
            reach(Step::SettleProductsSettled).await?;
        }
        if !writes.seats.is_empty() {
            shelf::settle_seats(conn, &writes.seats).await?;
            reach(Step::SettleSeatsSettled).await?;
        }
        if !writes.counts.is_empty() {
            let had = counts::give_back(conn, &writes.counts).await?;
            reach(Step::SettleCountsGivenBack).await?;
            if had != writes.counts.len() as u64 {
                tracing::error!(
                    counts = writes.counts.len(),
                    had,
                    "customers had less than their holds counted"
                );
            }
        }
        Ok(outcomes)
    }
}
