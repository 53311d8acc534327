//! Row by row: what is done when a portion is refused, and not because somebody is away.
//!
//! Every row that can be delivered is. One that is at fault (`tried.rs`) is split in two, again and again, until the bookings
//! that are at fault stand alone; these are parked (`store/parked.rs`), visibly, and come back into the outbox every few
//! minutes, behind the others.
//!
//! The sweep settles holds whose timers are parked, and those that are still ACTIVE although their verdict is. It does not
//! settle the RELEASE of a refund: that hold is COMMITTED, nobody asks about it again, and its units stay sold until the
//! parked row is delivered, when it is tried again or after people acted. They see it by `holdfast_outbox_parked` with
//! `kind="settle"`. Events wait likewise.

use std::{panic::AssertUnwindSafe, time::Duration};

use failpoint::{Step, reach};
use futures::FutureExt as _;
use postgres::UnitOfWork;
use sqlx::PgConnection;
use telemetry::Chain;

use super::{PORTION, Relay, delivery::DeliveryError, tried::Tried};
use crate::{
    error::Error,
    store::{
        outbox::{self, Kind},
        parked,
    },
};

/// How long a parked row rests before it is tried again.
const REST: Duration = Duration::from_mins(5);

impl Relay {
    /// Does a unit of work that delivers, in which a row may turn out to be such that reading it panics. What a crash undoes is
    /// found in the outbox and delivered again, as it was: so nobody waits for the disk. Customers' commits do, and would wait
    /// for these too.
    pub(super) async fn attempt_unsynced<W>(&self, work: &W) -> Result<W::Output, DeliveryError>
    where
        W: UnitOfWork<Error = DeliveryError>,
    {
        // Unwind safe: the transaction is rolled back as it is dropped, and nothing else is kept.
        let attempt = AssertUnwindSafe(postgres::transact_unsynced(&self.pool, work)).catch_unwind();
        attempt.await.unwrap_or(Err(DeliveryError::Panicked))
    }

    /// As [`Self::attempt_unsynced`], for rows that are changed or put elsewhere: on disk once it is done.
    async fn attempt<W>(&self, work: &W) -> Result<W::Output, DeliveryError>
    where
        W: UnitOfWork<Error = DeliveryError>,
    {
        let attempt = AssertUnwindSafe(postgres::transact(&self.pool, work)).catch_unwind();
        attempt.await.unwrap_or(Err(DeliveryError::Panicked))
    }

    /// Delivers the oldest rows one by one, and puts aside what is at fault. Answers whether there may be more; an error, if
    /// nothing at all was taken: then nobody can say whether the rows are at fault, or who refuses them.
    pub(super) async fn singly(&self, refusals: u32) -> Result<bool, DeliveryError> {
        let list = async { outbox::list(&mut *self.pool.acquire().await?, self.kind, PORTION.rows).await };
        let ids = postgres::traced(&self.pool, "ListOutbox", list).await?;
        let mut tried = Tried::default();
        for &outbox_id in &ids {
            self.try_one(outbox_id, &mut tried).await?;
        }
        if tried.all_refused() {
            // One more, which has not been in the way so far, tells a service that fails from a row of bad promises.
            let newest = async { outbox::newest(&mut *self.pool.acquire().await?, self.kind).await };
            let newest = postgres::traced(&self.pool, "NewestInOutbox", newest).await?;
            if let Some(outbox_id) = newest.filter(|newest| !ids.contains(newest)) {
                self.try_one(outbox_id, &mut tried).await?;
            }
        }
        let mut progress = tried.delivered > 0;
        for (outbox_id, failure) in tried.at_fault(refusals) {
            progress |= self.put_aside(outbox_id, &failure).await?;
        }
        tried.into_failure().map_or(Ok(progress), Err)
    }

    async fn try_one(&self, outbox_id: i64, tried: &mut Tried) -> Result<(), DeliveryError> {
        match self.attempt_unsynced(&One { relay: self, outbox_id }).await {
            Ok(bookings) => {
                self.metrics.delivered(bookings);
                tried.delivered += bookings;
            }
            Err(error) if error.is_outage() => return Err(error),
            Err(error) => tried.failed(outbox_id, error),
        }
        Ok(())
    }

    /// Splits a row, or parks it where there is nothing to split. Answers whether it is out of the way.
    async fn put_aside(&self, outbox_id: i64, failure: &str) -> Result<bool, DeliveryError> {
        match self.attempt(&Split { outbox_id }).await {
            Ok(true) => return Ok(true),
            Err(error) if error.is_outage() => return Err(error),
            // Not even that can be done with it.
            Ok(false) | Err(_) => {}
        }
        let bookings = self.attempt(&Park { outbox_id, failure }).await?;
        if let Some(bookings) = bookings {
            let kind = self.kind.as_str();
            tracing::error!(kind, outbox_id, bookings, failure, "a promise that is refused is parked");
            self.metrics.put_aside(bookings);
        }
        Ok(bookings.is_some())
    }

    /// Gives parked rows that have rested back to the outbox. Answers whether more of them may have rested. What fails is done next
    /// time.
    pub(super) async fn look_at_parked(&self) -> bool {
        match postgres::transact(&self.pool, &GiveBack { kind: self.kind }).await {
            Ok(returned) => {
                if returned > 0 {
                    tracing::info!(
                        kind = self.kind.as_str(),
                        rows = returned,
                        "parked promises are tried again"
                    );
                }
                returned >= parked::RETURNED_AT_ONCE
            }
            Err(error) => {
                let error = Chain(&error);
                tracing::warn!(kind = self.kind.as_str(), %error, "parked promises could not be looked at");
                false
            }
        }
    }
}

/// Delivers one row. Answers how many bookings it was about.
struct One<'a> {
    relay: &'a Relay,
    outbox_id: i64,
}

impl UnitOfWork for One<'_> {
    type Output = usize;
    type Error = DeliveryError;

    async fn run(&self, conn: &mut PgConnection) -> Result<usize, DeliveryError> {
        let Some(row) = outbox::take_one(conn, self.outbox_id).await? else { return Ok(0) };
        reach(Step::RelayOneTaken).await?;
        self.relay.to.deliver(std::slice::from_ref(&row)).await?;
        reach(Step::RelayOneDelivered).await?;
        Ok(row.booking_ids.len())
    }
}

/// Splits a row. Answers whether there was anything to split; a row that somebody else has in hand counts as split.
struct Split {
    outbox_id: i64,
}

impl UnitOfWork for Split {
    type Output = bool;
    type Error = DeliveryError;

    async fn run(&self, conn: &mut PgConnection) -> Result<bool, DeliveryError> {
        match parked::lock(conn, self.outbox_id).await? {
            None => Ok(true),
            Some(0 | 1) => Ok(false),
            Some(bookings) => {
                parked::split(conn, self.outbox_id, bookings / 2).await?;
                reach(Step::RelayOneSplit).await?;
                Ok(true)
            }
        }
    }
}

/// Parks a row. Answers about how many bookings it was, if it was still there.
struct Park<'a> {
    outbox_id: i64,
    failure: &'a str,
}

impl UnitOfWork for Park<'_> {
    type Output = Option<usize>;
    type Error = DeliveryError;

    async fn run(&self, conn: &mut PgConnection) -> Result<Option<usize>, DeliveryError> {
        let bookings = parked::lock(conn, self.outbox_id).await?;
        if bookings.is_some() {
            parked::park(conn, self.outbox_id, self.failure).await?;
            reach(Step::RelayOneParked).await?;
        }
        Ok(bookings)
    }
}

/// Gives back what has rested. Answers how many rows.
struct GiveBack {
    kind: Kind,
}

impl UnitOfWork for GiveBack {
    type Output = u64;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<u64, Error> {
        let returned = parked::give_back(conn, self.kind, REST).await?;
        if returned > 0 {
            reach(Step::RelayParkedReturned).await?;
        }
        Ok(returned)
    }
}
