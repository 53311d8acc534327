//! The pool, and the wait for the server at start.

use std::time::Duration;

use anyhow::{Context as _, bail};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    DatabaseConfig,
    error::{code, is_outage},
    follow::following,
    servers::Servers,
    session::{ACQUIRE_TIMEOUT, RELEASE_TIMEOUT, silent},
};

/// How often the wait tries, and how often it says so.
const RETRY_INTERVAL: Duration = Duration::from_millis(250);
const MESSAGE_INTERVAL: Duration = Duration::from_secs(5);
/// The database does not exist: at start, it may be about to be made.
const INVALID_CATALOG_NAME: &str = "3D000";

/// Waits for the server, saying so every few seconds, and makes the pool. Where the URL names several servers, the pool
/// follows the one that takes writes, until it is closed.
///
/// # Errors
/// The URL is malformed, the server refuses for another reason than being away (a wrong password), or `stop` came first.
pub async fn connect(config: &DatabaseConfig, stop: &CancellationToken) -> anyhow::Result<PgPool> {
    let servers = config.serving()?;
    let (index, first) = await_server(&servers, stop).await?;
    // It has shown that there is a server. The server may be away again by now: the pool will wait for it.
    let _ = timeout(RELEASE_TIMEOUT, first.close()).await;
    let options = PgPoolOptions::new()
        .max_connections(config.database_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .test_before_acquire(false);
    if servers.is_choosy() {
        return Ok(following(servers, index, options));
    }
    Ok(options
        .after_release(|connection, _| Box::pin(check_released(connection)))
        .connect_lazy_with(servers.get(index).clone()))
}

/// A connection that comes back must show that it is alive, within a limit: the pool's own check has none, and waits on a
/// half-open connection for as long as the kernel does (<https://github.com/launchbadge/sqlx/issues/4349>).
async fn check_released(connection: &mut PgConnection) -> sqlx::Result<bool> {
    match timeout(RELEASE_TIMEOUT, connection.ping()).await {
        Ok(alive) => alive.map(|()| true),
        Err(_) => Err(silent()),
    }
}

/// Opens a connection as soon as there is a server, and says to which one.
pub(crate) async fn await_server(
    servers: &Servers,
    stop: &CancellationToken,
) -> anyhow::Result<(usize, PgConnection)> {
    let mut next_message = Instant::now();
    loop {
        let error = tokio::select! {
            () = stop.cancelled() => bail!("asked to stop while waiting for PostgreSQL"),
            opened = servers.open() => match opened {
                Ok(opened) => return Ok(opened),
                Err(error) => error,
            },
        };
        if !may_pass(&error) {
            return Err(error).context("connect to PostgreSQL");
        }
        if Instant::now() >= next_message {
            let (servers, database) = (servers.addresses(), servers.get(0).get_database());
            tracing::warn!(%error, servers, database, "waiting for PostgreSQL");
            next_message = Instant::now() + MESSAGE_INTERVAL;
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(RETRY_INTERVAL) => {}
        }
    }
}

fn may_pass(error: &sqlx::Error) -> bool {
    is_outage(error) || code(error).as_deref() == Some(INVALID_CATALOG_NAME)
}
