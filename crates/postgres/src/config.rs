//! What can be set about the database, and how every session is set up.

use std::{env, path::Path};

use anyhow::ensure;
use secrecy::{ExposeSecret as _, SecretString};

use crate::servers::Servers;

/// Which database, and how many connections to it. The URL is never printed: it may hold a password.
#[derive(clap::Args, Clone, Debug)]
pub struct DatabaseConfig {
    /// The database: `postgres://user:password@host:port/name`. Of several hosts, `host1:port,host2:port`, the one that takes
    /// writes is found, also after another was promoted. Required by all that uses the database; there is no default.
    #[arg(
        long,
        env = "HOLDFAST_DATABASE_URL",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true,
        value_name = "URL"
    )]
    pub database_url: SecretString,
    /// The database as `migrate` reaches it, as the role that owns it. With it, `migrate` gives the user of the database URL
    /// what the service needs and nothing else. Without it, the database URL is used, and no right is given or taken.
    #[arg(
        long,
        env = "HOLDFAST_MIGRATE_URL",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true,
        value_name = "URL"
    )]
    pub migrate_url: SecretString,
    /// How many connections to keep at most; one more watches the database's health.
    #[arg(
        long,
        env = "HOLDFAST_DATABASE_CONNECTIONS",
        default_value_t = 12,
        value_name = "COUNT",
        value_parser = clap::value_parser!(u32).range(1..=1000)
    )]
    pub database_connections: u32,
}

/// Settings of every session of a service. Times in milliseconds, keepalive in seconds.
///
/// No statement may outlive a call's deadline by much, wait long for a lock, or leave a transaction open; and the server
/// notices a client that is gone, whose locks would stand in the way.
///
/// Every statement names rows by an index and is prepared once. The planner would choose scans and hash joins while tables
/// are small, and keep to them until somebody analyses the table that has grown meanwhile: seen as half of the database's
/// time in the first minute of a sale. So it may not. Nor may it plan a statement anew for each call, which it likes to do with
/// arrays: plans that cannot differ need not be made again.
pub const SERVING: [(&str, &str); 11] = [
    ("statement_timeout", "5000"),
    ("lock_timeout", "2000"),
    ("idle_in_transaction_session_timeout", "10000"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("jit", "off"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// Makes a session that reads whole tables free to.
pub(crate) const READING_TABLES: &str = "set enable_seqscan = on; set enable_hashjoin = on; set enable_mergejoin = on; \
     set plan_cache_mode = auto";

/// Settings of a session that migrates: a statement may take its time, but not hold up others for a lock.
const MIGRATING: [(&str, &str); 1] = [("lock_timeout", "10000")];

impl DatabaseConfig {
    /// How a service connects.
    pub(crate) fn serving(&self) -> anyhow::Result<Servers> {
        Ok(self.servers()?.map(|options| options.options(SERVING)))
    }

    /// How a migration connects.
    pub(crate) fn migrating(&self) -> anyhow::Result<Servers> {
        let url = if self.migrates_as_owner() { &self.migrate_url } else { &self.database_url };
        Ok(servers(url)?.map(|options| options.options(MIGRATING)))
    }

    /// The role that the service connects as, where a migration is another's business.
    pub(crate) fn service_role(&self) -> anyhow::Result<Option<String>> {
        if !self.migrates_as_owner() {
            return Ok(None);
        }
        Ok(Some(self.servers()?.get(0).get_username().to_owned()))
    }

    fn migrates_as_owner(&self) -> bool {
        !self.migrate_url.expose_secret().is_empty()
    }

    /// Whether the database can be looked for, without connecting to it.
    ///
    /// # Errors
    /// The URL is missing or malformed.
    pub fn check(&self) -> anyhow::Result<()> {
        self.servers()?;
        self.migrating().map(drop)
    }

    fn servers(&self) -> anyhow::Result<Servers> {
        ensure!(
            !self.database_url.expose_secret().is_empty(),
            "there is no database URL: set --database-url or HOLDFAST_DATABASE_URL"
        );
        servers(&self.database_url)
    }
}

fn servers(url: &SecretString) -> anyhow::Result<Servers> {
    Ok(Servers::parse(url.expose_secret())?.map(|options| {
        if options.get_application_name().is_some() {
            return options;
        }
        options.application_name(&program())
    }))
}

/// What this program is called, to be seen in `pg_stat_activity`.
fn program() -> String {
    let path = env::args_os().next().unwrap_or_default();
    let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy();
    format!("holdfast-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(url: &str) -> DatabaseConfig {
        DatabaseConfig { database_url: url.into(), migrate_url: "".into(), database_connections: 1 }
    }

    #[test]
    fn a_migration_connects_as_the_owner_where_one_is_named() {
        let plain = config("postgres://catalog@db/catalog");
        assert_eq!(plain.migrating().unwrap().get(0).get_username(), "catalog");
        assert_eq!(plain.service_role().unwrap(), None);
        let owned = DatabaseConfig { migrate_url: "postgres://owner@db/catalog".into(), ..plain };
        assert_eq!(owned.migrating().unwrap().get(0).get_username(), "owner");
        assert_eq!(owned.serving().unwrap().get(0).get_username(), "catalog");
        assert_eq!(owned.service_role().unwrap().as_deref(), Some("catalog"));
    }

    #[test]
    fn the_password_is_never_printed() {
        let config = config("postgres://holdfast:hunter2@db/catalog");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn a_malformed_url_is_refused_without_being_printed() {
        for hosts in ["db:port", "db,", "db:1,db:port"] {
            let error =
                config(&format!("postgres://holdfast:hunter2@{hosts}/catalog")).serving().unwrap_err();
            assert!(!format!("{error:?}").contains("hunter2"));
        }
    }

    #[test]
    fn a_url_that_is_missing_is_asked_for() {
        let error = config("").check().unwrap_err();
        assert!(error.to_string().contains("HOLDFAST_DATABASE_URL"), "{error}");
        assert!(config("postgres://db/catalog").check().is_ok());
    }

    #[test]
    fn a_session_is_limited_and_named() {
        let servers = config("postgres://db,spare/catalog").serving().unwrap();
        for index in 0..2 {
            assert!(servers.get(index).get_options().unwrap().contains("statement_timeout=5000"));
            assert!(servers.get(index).get_application_name().unwrap().starts_with("holdfast-"));
        }
        let named = config("postgres://db/catalog?application_name=audit").serving().unwrap();
        assert_eq!(named.get(0).get_application_name(), Some("audit"));
    }
}
