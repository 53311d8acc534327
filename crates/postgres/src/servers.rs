//! The servers that a URL names: one, or several of which one takes writes.
//!
//! libpq's form, which sqlx does not know: `postgres://user@h1:p1,h2:p2/db?target_session_attrs=read-write`
//! (<https://www.postgresql.org/docs/15/libpq-connect.html>, 34.1.1.3).

use std::str::FromStr as _;

use anyhow::{Context as _, ensure};
use sqlx::{PgConnection, postgres::PgConnectOptions};

use crate::{
    probe::{Probe, primary},
    session::{CONNECT_TIMEOUT, address, nobody, open},
};

/// The parameter that says which kind of server is wanted.
const TARGET: &str = "target_session_attrs";

/// How to reach each server that may have the database.
#[derive(Clone, Debug)]
pub(crate) struct Servers {
    each: Vec<PgConnectOptions>,
    /// Whether to look which one takes writes. Not for a single server whose URL asks for nothing: that is the one.
    choosy: bool,
}

impl Servers {
    /// Reads a URL.
    pub(crate) fn parse(url: &str) -> anyhow::Result<Self> {
        let Some(parts) = Parts::of(url) else { return Self::only(url) };
        let hosts: Vec<&str> = parts.hosts.split(',').collect();
        let mut parameters = parts.query.split('&').filter_map(|pair| pair.split_once('='));
        ensure!(
            !parameters
                .any(|(name, value)| name.starts_with("host") && value.replace("%2C", ",").contains(',')),
            "the database URL names several hosts in a parameter: write them before the path"
        );
        let (target, query) = take_target(parts.query);
        if hosts.len() == 1 && target.is_none() {
            return Self::only(url);
        }
        ensure!(!hosts.contains(&""), "the database URL names an empty host");
        if let Some(target) = target {
            ensure!(
                matches!(target, "read-write" | "primary"),
                "{TARGET} must be read-write or primary: a service writes"
            );
        }
        let url_of = |host: &&str| format!("{}{host}{}{query}", parts.before, parts.path);
        let each = hosts.iter().map(|host| options(&url_of(host))).collect::<anyhow::Result<_>>()?;
        Ok(Self { each, choosy: true })
    }

    fn only(url: &str) -> anyhow::Result<Self> {
        Ok(Self { each: vec![options(url)?], choosy: false })
    }

    /// The same servers, each to be reached as `change` says.
    pub(crate) fn map(self, change: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        Self { each: self.each.into_iter().map(change).collect(), ..self }
    }

    /// Whether to look which one takes writes.
    pub(crate) fn is_choosy(&self) -> bool {
        self.choosy
    }

    /// How to reach one of them.
    pub(crate) fn get(&self, index: usize) -> &PgConnectOptions {
        &self.each[index]
    }

    /// All their addresses, for the log.
    pub(crate) fn addresses(&self) -> String {
        self.each.iter().map(address).collect::<Vec<_>>().join(",")
    }

    /// Something to ask each of them with.
    pub(crate) fn probes(&self) -> Vec<Probe> {
        self.each.iter().cloned().map(Probe::new).collect()
    }

    /// Connects to the one that takes writes, or to the only one. Says which.
    pub(crate) async fn open(&self) -> sqlx::Result<(usize, PgConnection)> {
        if !self.choosy {
            return Ok((0, open(self.get(0)).await?));
        }
        let mut probes = self.probes();
        let primary = primary(&mut probes, CONNECT_TIMEOUT).await?;
        let index = primary.index;
        if primary.is_contested {
            primary.alarm(self.get(index));
        }
        let connection = probes.swap_remove(index).into_connection().ok_or_else(nobody)?;
        Ok((index, connection))
    }
}

fn options(url: &str) -> anyhow::Result<PgConnectOptions> {
    PgConnectOptions::from_str(url).context("read the database URL")
}

/// What matters here of a URL.
struct Parts<'a> {
    /// The scheme, user and password.
    before: &'a str,
    hosts: &'a str,
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Option<Self> {
        let authority = url.find("://")? + 3;
        let end = url[authority..].find(['/', '?', '#']).map_or(url.len(), |at| authority + at);
        let hosts = url[authority..end].rfind('@').map_or(authority, |at| authority + at + 1);
        let (path, query) = url[end..].split_once('?').unwrap_or((&url[end..], ""));
        Some(Self { before: &url[..hosts], hosts: &url[hosts..end], path, query })
    }
}

/// The kind of server that is wanted, and the query without it: sqlx would warn of it.
fn take_target(query: &str) -> (Option<&str>, String) {
    let mut target = None;
    let mut rest = String::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if let Some((TARGET, value)) = pair.split_once('=') {
            target = Some(value);
        } else {
            rest.push(if rest.is_empty() { '?' } else { '&' });
            rest.push_str(pair);
        }
    }
    (target, rest)
}

#[cfg(test)]
mod tests {
    use sqlx::{ConnectOptions as _, postgres::PgSslMode};

    use super::*;

    fn addresses(url: &str) -> Vec<String> {
        Servers::parse(url).unwrap().each.iter().map(address).collect()
    }

    #[test]
    fn one_host_is_taken_as_it_is() {
        let servers = Servers::parse("postgres://me:a%40b@db:6432/catalog?sslmode=disable").unwrap();
        assert!(!servers.is_choosy());
        assert_eq!(servers.addresses(), "db:6432");
        assert!(!Servers::parse("postgres:///catalog?host=%2Frun%2Fpostgresql").unwrap().is_choosy());
    }

    #[test]
    fn several_hosts_are_told_apart_and_share_the_rest() {
        let url =
            "postgres://me:geheim@h1:1,h2,[::1]:3/books?target_session_attrs=read-write&application_name=x";
        let servers = Servers::parse(url).unwrap();
        assert!(servers.is_choosy());
        assert_eq!(addresses(url), ["h1:1", "h2:5432", "[::1]:3"]);
        for options in servers.each {
            assert_eq!((options.get_username(), options.get_database()), ("me", Some("books")));
            assert_eq!(options.get_application_name(), Some("x"));
        }
    }

    #[test]
    fn how_a_session_is_secured_holds_for_every_host() {
        let url =
            "postgres://me@h1,h2/books?sslmode=verify-full&sslrootcert=/ca.pem&target_session_attrs=primary";
        let servers = Servers::parse(url).unwrap();
        assert_eq!(servers.each.len(), 2);
        for options in servers.each {
            assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
            assert!(options.to_url_lossy().as_str().contains("sslrootcert="));
        }
    }

    #[test]
    fn one_host_may_be_asked_whether_it_takes_writes() {
        let servers = Servers::parse("postgres://db/catalog?target_session_attrs=primary").unwrap();
        assert!(servers.is_choosy());
        assert_eq!(servers.addresses(), "db:5432");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for url in [
            "postgres://h1,/catalog",
            "postgres://h1,h2:port/catalog",
            "postgres://h1,h2/catalog?target_session_attrs=standby",
            "postgres://h1/catalog?target_session_attrs=any",
            "postgres:///catalog?host=h1,h2",
            "postgres:///catalog?hostaddr=127.0.0.1%2C127.0.0.2",
        ] {
            assert!(Servers::parse(url).is_err(), "{url}");
        }
    }
}
