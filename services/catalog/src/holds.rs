//! The units of work on holds, batch form first. Placing: look, decide in memory, take all in one guarded statement. Settling:
//! lock, decide in memory, write in one statement per table, commit.

use std::collections::BTreeSet;

use failpoint::{Step, reach};
use postgres::UnitOfWork;
use sqlx::{PgConnection, PgPool};

use crate::{
    domain::{
        hold::{HoldKey, Item},
        place::{self, PlaceRequest},
        restore::{self, RestoreRequest},
        settle::{self, Verdict},
    },
    error::Error,
    store::{self, holds, place::Asked, shelf},
};

/// How often a batch is tried that others were quicker than, the first time without locks.
const ATTEMPTS: usize = 3;

/// Places the holds with one statement, or, where others are quicker again and again, in a transaction that locks first; each
/// has its own outcome. `grace_ms` after their time the sweep asks for a verdict on those that nobody settled.
pub async fn place(
    pool: &PgPool,
    grace_ms: i64,
    requests: &[PlaceRequest],
) -> Result<Vec<place::Outcome>, Error> {
    let mut batch = Place { grace_ms, requests, locks: false };
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
    grace_ms: i64,
    requests: &'a [PlaceRequest],
    /// Whether it locks what it wants before it looks, so that nobody can be quicker: in a transaction.
    locks: bool,
}

/// Looks and takes what it decided, all or nothing: when another was quicker it begins anew.
impl UnitOfWork for Place<'_> {
    type Output = Vec<place::Outcome>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        let asked = asked(self.requests.iter());
        if self.locks {
            store::place::lock_products(conn, &asked).await?;
            store::place::lock_seats(conn, &asked).await?;
        }
        let found = store::place::look(conn, &asked).await?;
        let place::Decision { outcomes, writes } = place::decide(found, self.requests);
        reach(Step::PlaceDecided).await?;
        if !writes.holds.is_empty() {
            store::place::take(conn, &writes, self.grace_ms).await?;
            reach(Step::PlaceRecorded).await?;
        }
        Ok(outcomes)
    }
}

/// Puts holds back that were lost, in one transaction that locks first; each has its own outcome. `grace_ms` after their time
/// the sweep asks for a verdict on those that nobody settled.
pub async fn restore(
    pool: &PgPool,
    grace_ms: i64,
    requests: &[RestoreRequest],
) -> Result<Vec<restore::Outcome>, Error> {
    postgres::transact(pool, &Restore { grace_ms, requests }).await
}

struct Restore<'a> {
    grace_ms: i64,
    requests: &'a [RestoreRequest],
}

impl UnitOfWork for Restore<'_> {
    type Output = Vec<restore::Outcome>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        let asked = asked(self.requests.iter().map(|request| &request.place));
        store::place::lock_products(conn, &asked).await?;
        store::place::lock_seats(conn, &asked).await?;
        let found = store::place::look(conn, &asked).await?;
        let (outcomes, writes) = restore::decide(found, self.requests);
        if !writes.holds.is_empty() {
            store::place::take(conn, &writes, self.grace_ms).await?;
            reach(Step::RestoreRecorded).await?;
        }
        Ok(outcomes)
    }
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
    Asked { keys, products: products.into_iter().collect(), seats: seats.into_iter().collect() }
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
        Ok(outcomes)
    }
}
