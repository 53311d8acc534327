//! Units of work: one transaction, done again when it lost against another.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use sqlx::{Connection as _, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, Span};

use crate::{error::is_conflict, metrics, session::silent, traces};

/// How often a unit of work is tried.
const ATTEMPTS: u32 = 5;
/// How long the wait before the second try is; it doubles from there.
const BACKOFF: Duration = Duration::from_millis(2);
/// How long one try may take. Statements have limits of their own, but those need a server that answers.
const ATTEMPT_LIMIT: Duration = Duration::from_secs(10);

/// The error of a unit of work, which may stem from the database.
pub trait DatabaseError: From<sqlx::Error> {
    /// The database's error, if that is what it is.
    fn database(&self) -> Option<&sqlx::Error>;
}

impl DatabaseError for sqlx::Error {
    fn database(&self) -> Option<&sqlx::Error> {
        Some(self)
    }
}

/// What is done in one transaction. A type and not a closure, so that its future is known to be `Send`.
pub trait UnitOfWork: Sync {
    /// What it answers.
    type Output: Send;
    /// How it fails.
    type Error: DatabaseError + Send;

    /// What it is called in traces: its type's name unless it has a better one.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        path.split('<').next().and_then(|path| path.rsplit("::").next()).unwrap_or(path)
    }

    /// Does the work. It may be done several times, each from the start: it must do nothing that a rollback does not undo.
    fn run(
        &self,
        connection: &mut PgConnection,
    ) -> impl Future<Output = Result<Self::Output, Self::Error>> + Send;
}

/// Does `work` in one transaction: committed if it succeeds, rolled back if it fails, done again from the start, a few
/// times, if it lost against another ([`is_conflict`]).
///
/// # Errors
/// Those of `work`, and the database's. After an outage on commit the outcome is unknown.
pub async fn transact<W: UnitOfWork>(pool: &PgPool, work: &W) -> Result<W::Output, W::Error> {
    let span = traces::span(pool, work.name());
    again(&span, || in_transaction(pool, "begin", work)).instrument(span.clone()).await
}

/// As [`transact`], but does not wait until the commit is on disk, here and on a standby: a crash may undo it as a whole, for as
/// long as the server takes to write it (`wal_writer_delay`, three times at most). For work that is found undone then, and that
/// does no harm when it is done again.
///
/// # Errors
/// As [`transact`].
pub async fn transact_unsynced<W: UnitOfWork>(pool: &PgPool, work: &W) -> Result<W::Output, W::Error> {
    const BEGIN: &str = "begin; set local synchronous_commit = off";
    let span = traces::span(pool, work.name());
    again(&span, || in_transaction(pool, BEGIN, work)).instrument(span.clone()).await
}

/// Does `work` that changes something with one statement only, which is a transaction by itself: saves the round trips of
/// BEGIN and COMMIT. The same limits as [`transact`].
///
/// # Errors
/// Those of `work`, and the database's. After an outage the outcome is unknown.
pub async fn autocommit<W: UnitOfWork>(pool: &PgPool, work: &W) -> Result<W::Output, W::Error> {
    let span = traces::span(pool, work.name());
    again(&span, || async { work.run(&mut *pool.acquire().await?).await }).instrument(span.clone()).await
}

/// Tries again what lost against others, and gives up on a server that does not answer.
async fn again<T, E: DatabaseError, Fut>(span: &Span, once: impl Fn() -> Fut) -> Result<T, E>
where
    Fut: Future<Output = Result<T, E>>,
{
    let mut attempt = 1;
    let start = Instant::now();
    loop {
        let outcome = timeout(ATTEMPT_LIMIT, once()).await.unwrap_or_else(|_| Err(silent().into()));
        match outcome {
            Err(error) if attempt < ATTEMPTS && error.database().is_some_and(is_conflict) => {
                tracing::debug!(attempt, "a unit of work lost against another; once more");
                metrics::conflicted();
                sleep(BACKOFF * 2_u32.pow(attempt - 1)).await;
                attempt += 1;
            }
            outcome => {
                metrics::worked(outcome.is_ok(), start.elapsed());
                if let Err(error) = &outcome {
                    traces::failed(span, error.database());
                }
                return outcome;
            }
        }
    }
}

/// `opening`: what opens the transaction, in one round trip.
async fn in_transaction<W: UnitOfWork>(
    pool: &PgPool,
    opening: &'static str,
    work: &W,
) -> Result<W::Output, W::Error> {
    let begun = AtomicBool::new(false);
    let mut lease = Lease { connection: pool.acquire().await?, begun: &begun };
    let mut transaction = lease.connection.begin_with(opening).await?;
    begun.store(true, Ordering::Relaxed);
    match work.run(&mut transaction).await {
        Ok(value) => {
            transaction.commit().await?;
            Ok(value)
        }
        Err(error) => {
            // A rollback that fails leaves a broken connection, which the pool drops; the first error is the one to tell.
            let _ = transaction.rollback().await;
            Err(error)
        }
    }
}

/// A connection that does not go back to the pool when its caller leaves while a transaction is about to begin: sqlx
/// rolls back only what it knows to have begun (as of 0.9.0), and whoever came next would work, unaware, in a
/// transaction that nobody commits.
struct Lease<'a> {
    connection: PoolConnection<Postgres>,
    begun: &'a AtomicBool,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if !self.begun.load(Ordering::Relaxed) {
            self.connection.close_on_drop();
        }
    }
}
