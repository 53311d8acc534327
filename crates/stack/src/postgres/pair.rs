//! A primary and its synchronous standby: what one has acknowledged, both have.
//!
//! The rule holds at every moment (`synchronous_standby_names` is never empty): after a promotion, too, nothing is
//! acknowledged before the other server is a standby again.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Postgres, PostgresOptions};
use crate::home::Home;
use crate::wait;

/// What a standby calls itself, and its slot: the primary waits for nobody else, not for a backup that is being taken.
pub(super) const STANDBY: &str = "standby";

/// How long a standby may take to catch up, a promotion to be done.
const SYNC_LIMIT: Duration = Duration::from_mins(1);

/// Two servers, one of which is the primary. They end with their [`Home`].
#[derive(Debug)]
pub struct PostgresPair {
    servers: [Postgres; 2],
    primary: AtomicUsize,
}

impl PostgresPair {
    /// Starts both, and waits until the standby is in step.
    pub fn start(home: &Arc<Home>, mut options: PostgresOptions) -> Result<Self> {
        let settings = [("synchronous_standby_names", STANDBY), ("wal_retrieve_retry_interval", "200ms")];
        options.settings.extend(settings.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let primary = Postgres::start(home, options.clone())?;
        let mut standby = Postgres::at(home, "postgres-2", PostgresOptions { port: None, ..options })?;
        standby.copy(&primary)?;
        standby.boot()?;
        let pair = Self { servers: [primary, standby], primary: AtomicUsize::new(0) };
        pair.await_sync()?;
        Ok(pair)
    }

    /// The one that takes writes, or did last.
    #[must_use]
    pub fn primary(&self) -> &Postgres {
        &self.servers[self.primary.load(Ordering::Acquire)]
    }

    /// The other one.
    #[must_use]
    pub fn standby(&self) -> &Postgres {
        &self.servers[1 - self.primary.load(Ordering::Acquire)]
    }

    /// Both, in the order of their ports in [`Self::url`].
    #[must_use]
    pub fn servers(&self) -> &[Postgres; 2] {
        &self.servers
    }

    /// The URL of one of the databases, wherever the primary is.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    /// The same for another user.
    #[must_use]
    pub fn url_as(&self, user: &str, database: &str) -> String {
        let [first, second] = [&self.servers[0], &self.servers[1]].map(Postgres::port);
        format!(
            "postgres://{user}@127.0.0.1:{first},127.0.0.1:{second}/{database}?target_session_attrs=read-write"
        )
    }

    /// Makes the standby the primary. The old primary is killed first, where it still runs: two would take writes.
    pub fn promote(&self) -> Result<()> {
        let (old, new) = (self.primary(), self.standby());
        old.kill();
        let promoted = new.query("postgres", "select pg_promote(true, 60)")?;
        ensure!(promoted == "t", "the standby was not promoted in time");
        *new.upstream() = None;
        self.primary.fetch_xor(1, Ordering::AcqRel);
        Ok(())
    }

    /// Makes the server that is not the primary its standby, with a fresh copy of everything: what it had written and
    /// nobody was told of goes with its old data. Waits until it is in step.
    pub fn rebuild(&self) -> Result<()> {
        let (primary, standby) = (self.primary(), self.standby());
        standby.kill();
        standby.copy(primary)?;
        standby.restart()?;
        self.await_sync()
    }

    /// Waits until the standby has everything and commits wait for it.
    pub fn await_sync(&self) -> Result<()> {
        let count = format!(
            "select count(*) from pg_stat_replication where application_name = '{STANDBY}' and sync_state = 'sync'"
        );
        let in_step = || self.primary().query("postgres", &count).is_ok_and(|count| count == "1");
        ensure!(wait::until(SYNC_LIMIT, in_step), "the standby does not catch up");
        Ok(())
    }
}

impl Postgres {
    /// Replaces its data by a copy of the primary's, to be started as its standby.
    fn copy(&self, primary: &Self) -> Result<()> {
        self.clear_lock()?;
        if self.data.exists() {
            fs::remove_dir_all(&self.data).with_context(|| format!("remove {}", self.data.display()))?;
        }
        // The slot of the standby that was: its sender may need a moment to notice that it is gone.
        let drop_slot = "select pg_drop_replication_slot(slot_name) from pg_replication_slots";
        let mut dropped = Ok(String::new());
        wait::until(SYNC_LIMIT, || {
            dropped = primary.query("postgres", drop_slot);
            dropped.is_ok()
        });
        dropped?;
        let mut command = self.install.command("pg_basebackup");
        command.arg("-D").arg(&self.data).arg("-d").arg(primary.url("postgres"));
        command.args(["-R", "-X", "stream", "-c", "fast", "-C", "-S", STANDBY]);
        if !self.options.durable {
            command.arg("--no-sync");
        }
        let output = command.output().context("run pg_basebackup")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pg_basebackup failed:\n{errors}");
        *self.upstream() = Some(primary.port);
        Ok(())
    }
}
