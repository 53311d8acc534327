//! Which of several servers takes writes: each is asked, and of two the one counts that was promoted last.

use std::time::Duration;

use futures::future::join_all;
use sqlx::{PgConnection, Row as _, postgres::PgConnectOptions};
use tokio::time::timeout;

use crate::{
    error::{code, is_outage},
    session::{address, nobody, open, silent, takes_writes},
};

/// The server is of a kind that has no such function.
const UNDEFINED_FUNCTION: &str = "42883";

/// Asks one server again and again, over one connection while that lasts.
#[derive(Debug)]
pub(crate) struct Probe {
    options: PgConnectOptions,
    connection: Option<PgConnection>,
}

impl Probe {
    /// Of the server that is reached with these options.
    pub(crate) fn new(options: PgConnectOptions) -> Self {
        Self { options, connection: None }
    }

    /// Gives the connection away, if it has one.
    pub(crate) fn into_connection(self) -> Option<PgConnection> {
        self.connection
    }

    /// Whether it takes writes. What is broken or silent is opened anew the next time.
    async fn ask(&mut self, limit: Duration) -> sqlx::Result<bool> {
        let kept = self.connection.take();
        let ask = async {
            let mut connection = match kept {
                Some(connection) => connection,
                None => open(&self.options).await?,
            };
            Ok((takes_writes(&mut connection).await?, connection))
        };
        let (answer, connection) = timeout(limit, ask).await.unwrap_or_else(|_| Err(silent()))?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// How often, in the history of its data, a standby was promoted; 0 where that is not counted.
    async fn timeline(&mut self, limit: Duration) -> sqlx::Result<u32> {
        let connection = self.connection.as_mut().ok_or_else(nobody)?;
        let file = sqlx::raw_sql("select pg_walfile_name(pg_current_wal_lsn())");
        let row = timeout(limit, file.fetch_one(connection)).await.unwrap_or_else(|_| Err(silent()));
        if row.as_ref().is_err_and(|error| code(error).as_deref() == Some(UNDEFINED_FUNCTION)) {
            return Ok(0);
        }
        // The first eight of its digits: https://www.postgresql.org/docs/15/wal-internals.html
        let name: String = row?.try_get(0)?;
        name.get(..8).and_then(|digits| u32::from_str_radix(digits, 16).ok()).ok_or_else(nobody)
    }
}

/// The server that takes writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Primary {
    /// How often a standby was promoted until it was the primary.
    pub(crate) timeline: u32,
    pub(crate) index: usize,
    /// Another one takes writes, too: it should have been ended before this one was promoted.
    pub(crate) is_contested: bool,
}

impl Primary {
    /// Says of this server what must not be.
    pub(crate) fn alarm(self, server: &PgConnectOptions) {
        let Self { timeline, is_contested, .. } = self;
        let server = address(server);
        tracing::error!(
            server,
            timeline,
            is_contested,
            "an old primary takes writes: it was not ended for good"
        );
    }
}

/// Looks for the server that takes writes; of several, the one that was promoted last.
pub(crate) async fn primary(probes: &mut [Probe], limit: Duration) -> sqlx::Result<Primary> {
    if let [one] = writable(probes, limit).await?[..] {
        return Ok(one);
    }
    // One may have answered before it was killed, and another after it was promoted. What both say now counts.
    let writable = writable(probes, limit).await?;
    let newest = writable.iter().max().copied().ok_or_else(nobody)?;
    Ok(Primary { is_contested: writable.len() > 1, ..newest })
}

/// Those that say that they take writes, one at least.
async fn writable(probes: &mut [Probe], limit: Duration) -> sqlx::Result<Vec<Primary>> {
    let answers = join_all(probes.iter_mut().enumerate().map(async |(index, probe)| {
        if !probe.ask(limit).await? {
            return Ok(None);
        }
        Ok(Some(Primary { timeline: probe.timeline(limit).await?, index, is_contested: false }))
    }))
    .await;
    let writable: Vec<Primary> = answers.iter().filter_map(|answer| answer.as_ref().ok().copied()?).collect();
    if writable.is_empty() { Err(why_none(answers)) } else { Ok(writable) }
}

/// What to say when no server takes writes: a refusal, if there is one, rather than that somebody is away.
fn why_none<T>(answers: Vec<sqlx::Result<T>>) -> sqlx::Error {
    let errors: Vec<sqlx::Error> = answers.into_iter().filter_map(Result::err).collect();
    errors.into_iter().find(|error| !is_outage(error)).unwrap_or_else(nobody)
}
