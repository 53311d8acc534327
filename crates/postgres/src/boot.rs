//! What a service waits for before it serves: its database, migrated.

use server::Health;
use sqlx::{PgPool, migrate::Migrator};
use tokio_util::sync::CancellationToken;

use crate::{DatabaseConfig, await_schema, connect};

/// Makes the pool once the server is there and the migrations are applied; `None` if `stop` came first. Until then `health`,
/// which should require `database` and `schema`, is not ready and says what is missing.
///
/// # Errors
/// The URL is malformed, the server refuses, or the table of migrations cannot be read.
pub async fn boot(
    migrator: &Migrator,
    config: &DatabaseConfig,
    health: &Health,
    stop: &CancellationToken,
) -> anyhow::Result<Option<PgPool>> {
    let pool = match connect(config, stop).await {
        Err(_) if stop.is_cancelled() => return Ok(None),
        connected => connected?,
    };
    match await_schema(migrator, &pool, health, stop).await {
        Err(_) if stop.is_cancelled() => Ok(None),
        waited => waited.map(|()| Some(pool)),
    }
}
