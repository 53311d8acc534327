//! One connection beside the pool, for work that must not stand in the way of the calls: one turn at a time.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::{DatabaseError, config::READING_TABLES, session::open, traces, witness};

/// Every statement in it sees the database as it is at the first one, and none can change it.
const BEGIN: &str = "begin isolation level repeatable read, read only";

/// A connection, and what it was opened with: the pool may have turned to another server since.
type Open = (Arc<PgConnectOptions>, PgConnection);

/// The connection. It is opened when it is first used, and again after it failed. Clones share it.
#[derive(Clone, Debug)]
pub struct Aside {
    pool: PgPool,
    connection: Arc<Mutex<Option<Open>>>,
}

impl Aside {
    /// Beside this pool: to the same database, with the same settings.
    #[must_use]
    pub fn new(pool: &PgPool) -> Self {
        Self { pool: pool.clone(), connection: Arc::default() }
    }

    /// Shows the work of a turn in the trace of its call ([`traced`](crate::traced)).
    pub fn traced<T, E, W>(
        &self,
        name: &'static str,
        work: W,
    ) -> impl Future<Output = Result<T, E>> + use<T, E, W>
    where
        E: DatabaseError,
        W: Future<Output = Result<T, E>>,
    {
        traces::traced(&self.pool, name, work)
    }

    /// Takes the turn; `None` while somebody else has it.
    #[must_use]
    pub fn take(&self) -> Option<Turn> {
        let slot = Arc::clone(&self.connection).try_lock_owned().ok()?;
        Some(Turn { pool: self.pool.clone(), slot, connection: None })
    }
}

/// The turn, for one snapshot. Dropped before its [`end`](Self::end), it closes the connection.
#[derive(Debug)]
pub struct Turn {
    pool: PgPool,
    slot: OwnedMutexGuard<Option<Open>>,
    connection: Option<Open>,
}

impl Turn {
    /// Begins the snapshot: a transaction that sees one instant and changes nothing. A statement in it may take as long as
    /// in any session that serves.
    ///
    /// # Errors
    /// The database is away.
    pub async fn snapshot(&mut self) -> sqlx::Result<&mut PgConnection> {
        let options = self.pool.connect_options();
        let kept = self.slot.take().filter(|(opened_with, _)| Arc::ptr_eq(opened_with, &options));
        let mut connection = if let Some((_, connection)) = kept {
            connection
        } else {
            let mut connection = open(&options).await?;
            sqlx::raw_sql(READING_TABLES).execute(&mut connection).await?;
            connection
        };
        if witness::is_wanted(&options) {
            witness::check(&mut connection).await?;
        }
        sqlx::query(BEGIN).execute(&mut connection).await?;
        Ok(&mut self.connection.insert((options, connection)).1)
    }

    /// Begins a snapshot in which a statement may take so many milliseconds.
    ///
    /// # Errors
    /// The database is away.
    pub async fn long_snapshot(&mut self, statement_timeout_ms: u32) -> sqlx::Result<&mut PgConnection> {
        let connection = self.snapshot().await?;
        let sql = format!("set local statement_timeout = {statement_timeout_ms}");
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *connection).await?;
        Ok(connection)
    }

    /// Ends the snapshot, and leaves the connection to the next turn.
    ///
    /// # Errors
    /// The database is away.
    pub async fn end(mut self) -> sqlx::Result<()> {
        if let Some((options, mut connection)) = self.connection.take() {
            sqlx::query("commit").execute(&mut connection).await?;
            *self.slot = Some((options, connection));
        }
        Ok(())
    }
}
