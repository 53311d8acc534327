//! How a stack is to be run.

use std::path::PathBuf;
use std::time::Duration;

/// Fixed ports; none: any that is free.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// PostgreSQL.
    pub postgres: Option<u16>,
    /// RabbitMQ, AMQP.
    pub amqp: Option<u16>,
    /// catalog, gRPC.
    pub catalog: Option<u16>,
    /// reservation, gRPC.
    pub reservation: Option<u16>,
    /// catalog, HTTP.
    pub catalog_http: Option<u16>,
    /// reservation, HTTP.
    pub reservation_http: Option<u16>,
    /// expirer, HTTP.
    pub expirer_http: Option<u16>,
}

/// How to run a stack. The default: one of each on free ports, in a folder that goes with it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
pub struct Options {
    /// A folder that stays; none: one for the time being.
    pub home: Option<PathBuf>,
    /// Whether commits survive a crash of the machine (slower; a crash of PostgreSQL alone they always survive).
    pub durable: bool,
    /// Whether PostgreSQL has a synchronous standby, and RabbitMQ is a cluster of three nodes. In a folder for the time being.
    pub cluster: bool,
    /// Whether everybody speaks TLS alone, with certificates made for the stack, and the services know each other by theirs. Not
    /// of a cluster, and in a folder for the time being.
    pub tls: bool,
    /// Whether callers have to say who they are, by tokens of an issuer of the stack's own.
    pub auth: bool,
    /// The ports of the first replicas.
    pub ports: Ports,
    /// How many catalog processes. The other services call them in turn.
    pub catalogs: usize,
    /// How many reservation processes. The expirers call them in turn.
    pub reservations: usize,
    /// How many expirer processes.
    pub expirers: usize,
    /// Whether the parts reach each other, and clients the services, through proxies that can be broken: see
    /// [`Stack::links`](crate::Stack::links).
    pub proxied: bool,
    /// Further settings of PostgreSQL, as in postgresql.conf, for example `("track_commit_timestamp", "on")`.
    pub postgres: Vec<(String, String)>,
    /// Environment variables for every service, for example `("HOLDFAST_SWEEP_INTERVAL_MS", "500")`.
    pub env: Vec<(String, String)>,
    /// Told of each step that is done and how long it took.
    pub progress: Option<fn(&str, Duration)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            home: None,
            durable: false,
            cluster: false,
            tls: false,
            auth: false,
            ports: Ports::default(),
            catalogs: 1,
            reservations: 1,
            expirers: 1,
            proxied: false,
            postgres: Vec::new(),
            env: Vec::new(),
            progress: None,
        }
    }
}

impl Options {
    /// Adds a setting of PostgreSQL.
    #[must_use]
    pub fn postgres(mut self, name: &str, value: &str) -> Self {
        self.postgres.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds an environment variable for every service.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }
}
