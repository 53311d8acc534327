//! The servers below a stack: one of each, or a cluster of each.

use std::sync::Arc;
use std::thread;

use anyhow::{Result, anyhow, ensure};

use crate::home::Home;
use crate::options::Options;
use crate::pki::Pki;
use crate::postgres::{Postgres, PostgresOptions, PostgresPair, Schema};
use crate::rabbitmq::{RabbitMq, RabbitMqOptions};
use crate::stack::Steps;

/// How many nodes a cluster of RabbitMQ has: the fewest of which one can be missed.
const NODES: usize = 3;

/// PostgreSQL and RabbitMQ.
#[derive(Debug)]
pub(crate) struct Servers {
    database: Database,
    nodes: Vec<RabbitMq>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of it per stack")]
enum Database {
    Single(Postgres),
    Pair(PostgresPair),
}

impl Servers {
    /// Starts all of them at the same time.
    pub(crate) fn start(
        home: &Arc<Home>,
        options: &Options,
        pki: Option<&Arc<Pki>>,
        step: Steps,
    ) -> Result<Self> {
        ensure!(!(options.cluster && options.tls), "a cluster has no certificates");
        ensure!(
            !options.cluster || home.is_temporary(),
            "a cluster is not kept: its folder must be temporary"
        );
        let postgres = PostgresOptions {
            port: options.ports.postgres,
            durable: options.durable,
            settings: options.postgres.clone(),
            tls: pki.cloned(),
        };
        let port = options.ports.amqp;
        let start_nodes = || {
            if options.cluster {
                return RabbitMq::cluster(home, NODES);
            }
            Ok(vec![RabbitMq::start(home, RabbitMqOptions { port, tls: pki.cloned() })?])
        };
        let start_database = || {
            if options.cluster {
                return PostgresPair::start(home, postgres).map(Database::Pair);
            }
            Postgres::start(home, postgres).map(Database::Single)
        };
        thread::scope(|scope| {
            let broker = scope.spawn(|| step.take("RabbitMQ ready", start_nodes));
            let database = step.take("PostgreSQL ready", start_database);
            let nodes = broker.join().map_err(|_| anyhow!("the start of RabbitMQ panicked"))?;
            Ok(Self { database: database?, nodes: nodes? })
        })
    }

    /// The one that takes writes.
    pub(crate) fn postgres(&self) -> &Postgres {
        match &self.database {
            Database::Single(server) => server,
            Database::Pair(pair) => pair.primary(),
        }
    }

    pub(crate) fn pair(&self) -> Option<&PostgresPair> {
        match &self.database {
            Database::Single(_) => None,
            Database::Pair(pair) => Some(pair),
        }
    }

    pub(crate) fn rabbitmq_nodes(&self) -> &[RabbitMq] {
        &self.nodes
    }

    /// What a service is told of its database.
    pub(crate) fn database_url(&self, schema: Schema) -> String {
        self.url_as(schema.role(), schema)
    }

    /// What its migration is told besides.
    pub(crate) fn migrate_url(&self, schema: Schema) -> String {
        self.url_as(schema.owner(), schema)
    }

    fn url_as(&self, user: &str, schema: Schema) -> String {
        match &self.database {
            Database::Single(server) => server.url_as(user, schema.name()),
            Database::Pair(pair) => pair.url_as(user, schema.name()),
        }
    }

    /// What a service is told of the broker.
    pub(crate) fn broker_url(&self) -> String {
        self.nodes.iter().map(RabbitMq::url).collect::<Vec<_>>().join(",")
    }

    /// The database servers, by name, and their ports.
    pub(crate) fn databases(&self) -> Vec<(String, u16)> {
        match &self.database {
            Database::Single(server) => vec![server],
            Database::Pair(pair) => pair.servers().iter().collect(),
        }
        .into_iter()
        .map(|server| (server.name().to_owned(), server.port()))
        .collect()
    }

    /// The nodes of the broker, by name, and their ports.
    pub(crate) fn brokers(&self) -> Vec<(String, u16)> {
        self.nodes.iter().map(|node| (node.name().to_owned(), node.port())).collect()
    }
}
