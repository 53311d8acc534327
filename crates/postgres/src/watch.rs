//! The database's part in this process's health.

use std::{sync::Arc, time::Duration};

use server::{Health, PartState};
use sqlx::{Connection as _, PgConnection, PgPool, postgres::PgConnectOptions};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    metrics,
    session::{open, silent},
    witness,
};

/// How often the database is asked, and how long it may take to answer.
const INTERVAL: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Asks the database every second, and says in `health` how `database` is, until `stop`.
///
/// Over a connection of its own: that the pool is busy says nothing about the database.
pub async fn watch(pool: PgPool, health: Health, stop: CancellationToken) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut connection = None;
    metrics::watch(&pool);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        if pool.is_closed() {
            // Nobody leads it to the next primary any more: that this job ends ends the process.
            return;
        }
        let state = match ask(&pool, &mut connection).await {
            Ok(()) => PartState::Up,
            Err(error) => PartState::Down(error.to_string()),
        };
        health.set("database", state);
    }
}

/// A connection, and what it was opened with: the pool may have turned to another server since.
type Open = (Arc<PgConnectOptions>, PgConnection);

/// Asks over the connection that is there; over a new one if there is none, it is broken, or it is another server's.
async fn ask(pool: &PgPool, connection: &mut Option<Open>) -> sqlx::Result<()> {
    let options = pool.connect_options();
    if let Some((opened_with, mut open)) = connection.take()
        && Arc::ptr_eq(&opened_with, &options)
        && ping(&mut open, &options).await.is_ok()
    {
        *connection = Some((options, open));
        return Ok(());
    }
    let mut opened = open(&options).await?;
    ping(&mut opened, &options).await?;
    *connection = Some((options, opened));
    Ok(())
}

/// A standby answers, too, and so does a server that may not be read yet: of several servers that is not enough.
async fn ping(connection: &mut PgConnection, options: &PgConnectOptions) -> sqlx::Result<()> {
    let ping = async {
        if witness::is_wanted(options) {
            return witness::check(connection).await;
        }
        connection.ping().await
    };
    timeout(ANSWER_TIMEOUT, ping).await.unwrap_or_else(|_| Err(silent()))
}
