//! The schema: bringing it up to date, and waiting until someone did.

use std::time::Duration;

use anyhow::{Context as _, bail};
use failpoint::Step;
use sqlx::{Connection as _, PgPool, migrate::Migrator};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    DatabaseConfig,
    connect::await_server,
    error::{code, is_outage},
};

const RETRY_INTERVAL: Duration = Duration::from_millis(250);
const MESSAGE_INTERVAL: Duration = Duration::from_secs(5);
/// The table of migrations is not there: nothing was ever migrated.
const UNDEFINED_TABLE: &str = "42P01";

/// Waits for the server and applies the migrations that are missing. Several at a time do no harm: one does the work.
///
/// # Errors
/// The server refuses, a migration fails, or one that was applied is not the one that is known here.
pub async fn migrate(migrator: &Migrator, config: &DatabaseConfig) -> anyhow::Result<()> {
    let (_, mut connection) = await_server(&config.migrating()?, &CancellationToken::new()).await?;
    failpoint::reach(Step::MigrateConnected).await?;
    // One by one: whoever comes after one that died goes on where it was.
    for migration in migrator.iter() {
        let applied = migrator.run_to(migration.version, &mut connection).await;
        applied.with_context(|| format!("apply migration {}", migration.version))?;
        failpoint::reach(Step::MigrateApplied).await?;
    }
    tracing::info!(version = newest(migrator), "the schema is up to date");
    connection.close().await.context("close the connection")
}

/// Waits until the newest of these migrations, or a later one, is applied: another process migrates.
///
/// # Errors
/// The table of migrations cannot be read, or `stop` came first.
pub async fn await_schema(
    migrator: &Migrator,
    pool: &PgPool,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let wanted = newest(migrator);
    let mut next_message = Instant::now();
    loop {
        let applied = applied(pool).await.context("read the version of the schema")?;
        if applied >= wanted {
            return Ok(());
        }
        if Instant::now() >= next_message {
            tracing::warn!(wanted, applied, "waiting for the database to be migrated");
            next_message = Instant::now() + MESSAGE_INTERVAL;
        }
        tokio::select! {
            () = stop.cancelled() => bail!("asked to stop while waiting for the schema"),
            () = sleep(RETRY_INTERVAL) => {}
        }
    }
}

fn newest(migrator: &Migrator) -> Option<i64> {
    migrator.iter().map(|migration| migration.version).max()
}

/// The newest migration that was applied; `None` while there is none, or the server is away.
async fn applied(pool: &PgPool) -> sqlx::Result<Option<i64>> {
    let newest = sqlx::query_scalar("select max(version) from _sqlx_migrations where success");
    match newest.fetch_one(pool).await {
        Ok(version) => Ok(version),
        Err(error) if is_outage(&error) => Ok(None),
        Err(error) if code(&error).as_deref() == Some(UNDEFINED_TABLE) => Ok(None),
        Err(error) => Err(error),
    }
}
