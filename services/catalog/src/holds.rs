//! The units of work on holds: lock, decide in memory, write in one statement per table, commit. Batch form first.

use std::collections::BTreeSet;

use failpoint::{Step, reach};
use postgres::UnitOfWork;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    domain::{
        hold::{HoldKey, Item, SeatKey},
        place::{self, PlaceRequest, Shelf},
        settle::{self, Verdict},
    },
    error::Error,
    store::{holds, shelf},
};

/// How often a batch starts again whose key another batch inserted meanwhile.
const ATTEMPTS: usize = 3;

/// Places the holds in one transaction; each has its own outcome. `grace_ms` after their time the sweep asks for a
/// verdict on those that nobody settled.
pub async fn place(
    pool: &PgPool,
    grace_ms: i64,
    requests: &[PlaceRequest],
) -> Result<Vec<place::Outcome>, Error> {
    let batch = Place { grace_ms, requests };
    let mut attempt = 1;
    loop {
        match postgres::transact(pool, &batch).await {
            Err(Error::Database(error)) if attempt < ATTEMPTS && postgres::violates(&error, "holds_pkey") => {
                attempt += 1;
            }
            outcomes => {
                let outcomes = outcomes?;
                reach(Step::PlaceCommitted).await?;
                return Ok(outcomes);
            }
        }
    }
}

struct Place<'a> {
    grace_ms: i64,
    requests: &'a [PlaceRequest],
}

impl UnitOfWork for Place<'_> {
    type Output = Vec<place::Outcome>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        let found = self.look(conn).await?;
        reach(Step::PlaceLocked).await?;
        let place::Decision { outcomes, writes } = place::decide(found, self.requests);
        if !writes.products.is_empty() {
            shelf::take_products(conn, &writes.products).await?;
            reach(Step::PlaceProductsTaken).await?;
        }
        if !writes.seats.is_empty() {
            shelf::take_seats(conn, &writes.seats).await?;
            reach(Step::PlaceSeatsTaken).await?;
        }
        if !writes.holds.is_empty() {
            holds::insert(conn, &writes.holds, self.grace_ms).await?;
            reach(Step::PlaceRecorded).await?;
        }
        Ok(outcomes)
    }
}

impl Place<'_> {
    /// What the batch asks about, under locks: products first, then seats, each in the order of their keys, as
    /// everyone locks them.
    async fn look(&self, conn: &mut PgConnection) -> Result<Shelf, Error> {
        let keys: Vec<HoldKey> = self.requests.iter().map(|request| request.key).collect();
        let mut found = Shelf { holds: holds::find(conn, &keys).await?, ..Shelf::default() };
        let (mut products, mut seats) = (BTreeSet::<Uuid>::new(), BTreeSet::<&SeatKey>::new());
        for request in self.requests.iter().filter(|request| !found.holds.contains_key(&request.key)) {
            for item in &request.items {
                match item {
                    Item::Product { product_id, .. } => drop(products.insert(product_id.as_uuid())),
                    Item::Seat(seat) => drop(seats.insert(seat)),
                }
            }
        }
        if !products.is_empty() {
            found.products = shelf::lock_products(conn, &Vec::from_iter(products)).await?;
        }
        if !seats.is_empty() {
            let seats = Vec::from_iter(seats);
            found.seats = shelf::lock_seats(conn, &seats).await?;
            let missing: BTreeSet<Uuid> = seats
                .iter()
                .filter(|seat| !found.seats.contains_key(**seat))
                .map(|seat| seat.seat_map_id.as_uuid())
                .collect();
            if !missing.is_empty() {
                found.seat_maps = shelf::find_seat_maps(conn, &Vec::from_iter(missing)).await?;
            }
        }
        Ok(found)
    }
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
