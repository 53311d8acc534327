//! What can be set about RabbitMQ.

use lapin::uri::{AMQPScheme, AMQPUri};
use secrecy::{ExposeSecret as _, SecretString};

use crate::{Lanes, tls::AmqpTls};

/// Seconds between heartbeats where the URL names none: a dead peer is noticed within two.
const HEARTBEAT_S: u16 = 10;
/// The largest frame in bytes where the URL names none, in place of RabbitMQ's 128 KiB: lapin keeps two buffers of 32 frames for
/// each connection, and a larger message is just sent in more of them.
const FRAME_MAX_BYTES: u32 = 32 << 10;

/// How to reach RabbitMQ, and which lanes it has.
#[derive(clap::Args, Clone, Debug)]
pub struct AmqpConfig {
    /// The URL of RabbitMQ: `amqp://user:password@host:port/vhost`, or `amqps://` for TLS. Of a cluster, those of its nodes,
    /// parted by commas: they are tried one after the other.
    #[arg(
        long,
        env = "HOLDFAST_AMQP_URL",
        hide_env_values = true,
        default_value = "amqp://127.0.0.1:5672",
        value_name = "URL"
    )]
    pub amqp_url: SecretString,
    /// Certificates.
    #[command(flatten)]
    pub tls: AmqpTls,
    /// The usual hold times in milliseconds: each gets a lane of its own. The same in reservation and expirer.
    #[arg(
        long,
        env = "HOLDFAST_HOLD_TTLS_MS",
        value_delimiter = ',',
        default_value = "60000,600000",
        value_parser = clap::value_parser!(u64).range(100..=86_400_000),
        value_name = "MS,.."
    )]
    pub hold_ttls_ms: Vec<u64>,
}

/// RabbitMQ cannot be looked for.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ConfigError {
    /// Its URL is malformed. It is not shown, as it may hold a password.
    #[error("the URL of RabbitMQ is malformed: {0}")]
    Url(String),
    /// A file of certificates cannot be used.
    #[error("the certificates for RabbitMQ: {0}")]
    Certificates(String),
}

impl AmqpConfig {
    /// The lanes that this configuration asks for.
    #[must_use]
    pub fn lanes(&self) -> Lanes {
        Lanes::new(&self.hold_ttls_ms)
    }

    /// Whether RabbitMQ can be looked for, without connecting to it.
    ///
    /// # Errors
    /// A URL is malformed, a file of certificates cannot be used, or there is one and a URL of plain text.
    pub fn check(&self) -> Result<(), ConfigError> {
        let uris = self.uris()?;
        if self.tls.is_set() && uris.iter().any(|uri| uri.scheme != AMQPScheme::AMQPS) {
            let why = "they are good for nothing with an amqp:// URL: it would be talked to in plain text";
            return Err(ConfigError::Certificates(why.to_owned()));
        }
        self.tls.check()
    }

    /// The parsed URLs, one at least.
    pub(crate) fn uris(&self) -> Result<Vec<AMQPUri>, ConfigError> {
        self.amqp_url.expose_secret().split(',').map(|url| parse(url.trim())).collect()
    }
}

fn parse(url: &str) -> Result<AMQPUri, ConfigError> {
    let mut uri: AMQPUri = url.parse().map_err(ConfigError::Url)?;
    uri.query.heartbeat.get_or_insert(HEARTBEAT_S);
    uri.query.frame_max.get_or_insert(FRAME_MAX_BYTES);
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        amqp: AmqpConfig,
    }

    #[test]
    fn the_defaults_reach_a_broker_on_this_machine() {
        let config = Command::parse_from(["test"]).amqp;
        let [uri] = &config.uris().unwrap()[..] else { panic!("there is one") };
        assert_eq!((uri.authority.port, uri.vhost.as_str()), (5672, "/"));
        assert_eq!(uri.query.heartbeat, Some(HEARTBEAT_S));
        assert_eq!(uri.query.frame_max, Some(FRAME_MAX_BYTES));
        assert_eq!(config.hold_ttls_ms, [60_000, 600_000]);
    }

    #[test]
    fn the_password_does_not_show() {
        let config = Command::parse_from(["test", "--amqp-url", "amqp://me:geheim@127.0.0.1/%2f"]).amqp;
        assert!(!format!("{config:?}").contains("geheim"));
    }

    #[test]
    fn the_nodes_of_a_cluster_are_parted_by_commas() {
        let config = Command::parse_from(["test", "--amqp-url", "amqp://me:a%2Cb@h1, amqp://h2:5673/x"]).amqp;
        let [first, second] = &config.uris().unwrap()[..] else { panic!("there are two") };
        assert_eq!(
            (first.authority.host.as_str(), first.authority.userinfo.password.as_str()),
            ("h1", "a,b")
        );
        assert_eq!((second.authority.port, second.vhost.as_str()), (5673, "x"));
    }

    #[test]
    fn certificates_and_plain_text_do_not_go_together() {
        let url = "amqps://h1,amqp://h2";
        let config = Command::parse_from(["test", "--amqp-url", url, "--amqp-ca-file", "ca.pem"]).amqp;
        assert!(config.check().unwrap_err().to_string().contains("plain text"));
    }

    #[test]
    fn a_url_of_another_kind_is_refused() {
        for url in ["http://127.0.0.1", "amqp://127.0.0.1,", "amqp://h1,http://h2", ""] {
            let config = Command::parse_from(["test", "--amqp-url", url]).amqp;
            assert!(config.uris().is_err(), "{url}");
        }
    }
}
