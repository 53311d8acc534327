//! One session with one server: how long its steps may take, and what is said of a server that is silent or takes no writes.

use std::{io, time::Duration};

use sqlx::{Connection as _, PgConnection, Row as _, postgres::PgConnectOptions};
use tokio::time::timeout;

/// How long a unit of work waits for a connection.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection that comes back may take to show that it is alive.
pub(crate) const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one try to connect may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The error of a server that does not answer.
pub(crate) fn silent() -> sqlx::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the database does not answer").into()
}

/// Opens one connection, or says within a limit why not.
pub(crate) async fn open(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    timeout(CONNECT_TIMEOUT, PgConnection::connect_with(options)).await.unwrap_or_else(|_| Err(silent()))
}

/// Whether the server behind a connection takes writes: a standby says that every transaction is read-only.
pub(crate) async fn takes_writes(connection: &mut PgConnection) -> sqlx::Result<bool> {
    let row = sqlx::raw_sql("show transaction_read_only").fetch_one(connection).await?;
    Ok(row.try_get::<String, _>(0)? == "off")
}

/// The error of servers of which none takes writes.
pub(crate) fn nobody() -> sqlx::Error {
    io::Error::new(io::ErrorKind::NotConnected, "no database server takes writes").into()
}

/// Host and port.
pub(crate) fn address(options: &PgConnectOptions) -> String {
    format!("{}:{}", options.get_host(), options.get_port())
}
