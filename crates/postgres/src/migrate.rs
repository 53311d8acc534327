//! The schema: bringing it up to date, and waiting until someone did.

use std::time::Duration;

use anyhow::{Context as _, bail};
use failpoint::Step;
use server::{Health, PartState};
use sqlx::{Connection as _, PgPool, migrate::Migrator};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    DatabaseConfig,
    connect::await_server,
    error::{code, is_outage},
    rights::{self, Rights},
};

const RETRY_INTERVAL: Duration = Duration::from_millis(250);
const MESSAGE_INTERVAL: Duration = Duration::from_secs(5);
/// What health calls the schema.
const SCHEMA: &str = "schema";
/// The table of migrations is not there: nothing was ever migrated.
const UNDEFINED_TABLE: &str = "42P01";
/// It is not this role's to read: a migration gives it that right.
const NO_RIGHT: &str = "42501";

/// Held by each who migrates: what another gives rights to is not changed meanwhile, which would end one of the two.
const LOCK: i64 = 0x686f_6c64_6661_7374;
/// What the table of migrations says to a role that may not read it.
const FORBIDDEN: &str =
    "this role may not read the version of the schema: run migrate as the owner, with HOLDFAST_MIGRATE_URL";

/// Waits for the server and applies the migrations that are missing. Several at a time do no harm: one does the work. Migrations
/// that are not known here are of a later release, and stay as they are: this one can be rolled back to.
/// Where the configuration names an owner, the service's role is given its `rights`.
///
/// # Errors
/// The server refuses, a migration fails, the service's role is missing, or one that was applied is not the one that is known here.
pub async fn migrate(migrator: &Migrator, rights: Rights, config: &DatabaseConfig) -> anyhow::Result<()> {
    let role = config.service_role()?;
    let (_, mut connection) = await_server(&config.migrating()?, &CancellationToken::new()).await?;
    failpoint::reach(Step::MigrateConnected).await?;
    // Until the connection ends.
    let lock = sqlx::query("select pg_advisory_lock($1)").bind(LOCK);
    lock.execute(&mut connection).await.context("wait for another who migrates")?;
    let mut migrator = Migrator::with_migrations(migrator.iter().cloned().collect());
    migrator.set_ignore_missing(true);
    // First, for what is about to be made; last, for what was made.
    if let Some(role) = &role {
        rights::give(&mut connection, role, rights).await?;
    }
    // One by one: whoever comes after one that died goes on where it was.
    for migration in migrator.iter() {
        let applied = migrator.run_to(migration.version, &mut connection).await;
        applied.with_context(|| format!("apply migration {}", migration.version))?;
        failpoint::reach(Step::MigrateApplied).await?;
    }
    if let Some(role) = &role {
        rights::give(&mut connection, role, rights).await?;
    }
    let version = migrator.iter().map(|migration| migration.version).max();
    tracing::info!(version, "the schema is up to date");
    connection.close().await.context("close the connection")
}

/// Waits until all of these migrations are applied: another process migrates. Says in `health` what is missing (`schema`).
/// Later ones, of a release to come, are welcome: every migration works with the code before it.
///
/// # Errors
/// The table of migrations cannot be read, or `stop` came first.
pub async fn await_schema(
    migrator: &Migrator,
    pool: &PgPool,
    health: &Health,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let mut next_message = Instant::now();
    loop {
        let why = match applied(pool).await.context("read the version of the schema")? {
            Some(applied) => {
                let missing = missing(migrator, &applied);
                if missing.is_empty() {
                    health.set(SCHEMA, PartState::Up);
                    return Ok(());
                }
                format!("not migrated yet: {}", missing.join(", "))
            }
            None => FORBIDDEN.to_owned(),
        };
        if Instant::now() >= next_message {
            tracing::warn!(why, "waiting for the database to be migrated");
            next_message = Instant::now() + MESSAGE_INTERVAL;
        }
        health.set(SCHEMA, PartState::Down(why));
        tokio::select! {
            () = stop.cancelled() => bail!("asked to stop while waiting for the schema"),
            () = sleep(RETRY_INTERVAL) => {}
        }
    }
}

/// The migrations that are not applied, by version and name.
fn missing(migrator: &Migrator, applied: &[i64]) -> Vec<String> {
    let missing = migrator.iter().filter(|migration| !applied.contains(&migration.version));
    missing.map(|migration| format!("{:04} {}", migration.version, migration.description)).collect()
}

/// The migrations that were applied; none while the server is away. `None`: this role may not see them.
async fn applied(pool: &PgPool) -> sqlx::Result<Option<Vec<i64>>> {
    let versions = sqlx::query_scalar("select version from _sqlx_migrations where success");
    match versions.fetch_all(pool).await {
        Ok(versions) => Ok(Some(versions)),
        Err(error) if is_outage(&error) => Ok(Some(Vec::new())),
        Err(error) => match code(&error).as_deref() {
            Some(UNDEFINED_TABLE) => Ok(Some(Vec::new())),
            Some(NO_RIGHT) => Ok(None),
            _ => Err(error),
        },
    }
}
