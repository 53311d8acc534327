//! Databases of the private server: created, migrated, copied.

use std::sync::PoisonError;
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::Postgres;

/// The migrations of the database `catalog`.
pub static CATALOG_MIGRATOR: Migrator = sqlx::migrate!("../../migrations/catalog");
/// The migrations of the database `reservation`.
pub static RESERVATION_MIGRATOR: Migrator = sqlx::migrate!("../../migrations/reservation");

/// Whose tables a database has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Schema {
    /// The catalog's.
    Catalog,
    /// The reservation service's.
    Reservation,
}

impl Schema {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Catalog, Self::Reservation];

    /// Its name, which is also the name of the database (and of the service that owns it).
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Reservation => "reservation",
        }
    }

    fn migrator(self) -> &'static Migrator {
        match self {
            Self::Catalog => &CATALOG_MIGRATOR,
            Self::Reservation => &RESERVATION_MIGRATOR,
        }
    }
}

impl Postgres {
    /// Creates an empty database, unless it is there.
    pub fn create_database(&self, name: &str) -> Result<()> {
        let found = self.query("postgres", &format!("select 1 from pg_database where datname = '{name}'"))?;
        if found.is_empty() {
            self.query("postgres", &format!("create database \"{name}\""))?;
        }
        Ok(())
    }

    /// Creates a database of its own for one test, with the tables of `schema`, and returns its URL.
    /// It is a copy of a template: some tens of milliseconds.
    pub fn fresh(&self, schema: Schema) -> Result<String> {
        let template = format!("{}_template", schema.name());
        {
            let mut made = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
            if !made.contains(&schema) {
                self.create_database(&template)?;
                self.migrate(&template, schema)?;
                made.push(schema);
            }
        }
        let name = format!("{}_{}", schema.name(), Uuid::new_v4().simple());
        self.query("postgres", &format!("create database \"{name}\" template \"{template}\""))?;
        Ok(self.url(&name))
    }

    /// Brings the tables of a database up to date.
    pub fn migrate(&self, database: &str, schema: Schema) -> Result<()> {
        let url = self.url(database);
        // A thread and a runtime of its own: the caller may or may not be inside a runtime.
        let work = thread::spawn(move || -> Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let mut connection = PgConnection::connect(&url).await.context("connect to PostgreSQL")?;
                schema.migrator().run(&mut connection).await.context("migrate")?;
                connection.close().await.context("close the connection")
            })
        });
        work.join().map_err(|_| anyhow!("the migration of {database} panicked"))?
    }

    /// Runs SQL through psql and returns what it prints: one line per row, columns parted by `|`.
    pub fn query(&self, database: &str, sql: &str) -> Result<String> {
        let output = self
            .install
            .command("psql")
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-d"])
            .arg(self.url(database))
            .args(["-c", sql])
            .output()
            .context("run psql")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "psql refused {sql:?}:\n{errors}");
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    }
}
