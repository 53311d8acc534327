//! The whole: PostgreSQL, RabbitMQ and the services, started together and ended together.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::home::Home;
use crate::links::{CLIENTS, Link};
use crate::log;
use crate::options::{Options, Ports};
use crate::port;
use crate::postgres::{Postgres, PostgresOptions, Schema};
use crate::rabbitmq::{RabbitMq, RabbitMqOptions};
use crate::service::{Service, ServiceKind, ServiceOptions};

/// A running Holdfast with its own PostgreSQL and RabbitMQ.
///
/// Everything ends when the last owner goes or its process dies, in whatever way: a `static` in a test will do.
/// All calls block; none needs a runtime.
#[derive(Debug)]
pub struct Stack {
    home: Arc<Home>,
    postgres: Postgres,
    rabbitmq: RabbitMq,
    services: Vec<Service>,
    env: Vec<(String, String)>,
    proxied: bool,
    links: Vec<Link>,
}

impl Stack {
    /// Starts everything and waits until all of it is ready.
    pub fn start(options: Options) -> Result<Self> {
        let home = match &options.home {
            Some(dir) => Home::permanent(dir)?,
            None => Home::temporary("stack")?,
        };
        let step = Steps(options.progress);
        let (postgres, rabbitmq) = start_servers(&home, &options, step)?;
        let Options { env, proxied, .. } = options;
        let (services, links) = (Vec::new(), Vec::new());
        let mut stack = Self { home, postgres, rabbitmq, services, env, proxied, links };
        step.take("databases migrated", || stack.migrate())?;
        let Ports { catalog, reservation, catalog_http, reservation_http, expirer_http, .. } = options.ports;
        let wanted = [
            (ServiceKind::Catalog, options.catalogs, catalog, catalog_http),
            (ServiceKind::Reservation, options.reservations, reservation, reservation_http),
            (ServiceKind::Expirer, options.expirers, None, expirer_http),
        ];
        for (kind, replicas, grpc_port, http_port) in wanted {
            step.take(&format!("{} ready", kind.name()), || {
                for replica in 0..replicas {
                    // Only the first can have a port that was asked for.
                    let only_first = |port: Option<u16>| port.filter(|_| replica == 0);
                    let (grpc_port, http_port) = (only_first(grpc_port), only_first(http_port));
                    let env = stack.wire(kind, replica)?;
                    let options = ServiceOptions { kind, replica, grpc_port, http_port, env };
                    stack.services.push(Service::start(&stack.home, options)?);
                }
                Ok(())
            })?;
        }
        stack.wire_clients()?;
        Ok(stack)
    }

    /// Starts one more replica, with further environment variables. It ends with the stack.
    pub fn add(&self, kind: ServiceKind, env: &[(&str, &str)]) -> Result<Service> {
        let replica = uuid::Uuid::new_v4().as_u128() % 1_000_000;
        let mut wired = self.service_env(kind);
        wired.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let replica = usize::try_from(replica)? + 100;
        Service::start(
            &self.home,
            ServiceOptions { kind, replica, grpc_port: None, http_port: None, env: wired },
        )
    }

    /// Its folder.
    #[must_use]
    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Its PostgreSQL server.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Its RabbitMQ node.
    #[must_use]
    pub fn rabbitmq(&self) -> &RabbitMq {
        &self.rabbitmq
    }

    /// The links between the parts, and from clients to the services: none unless the stack is proxied.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// All services: catalogs, reservations, expirers.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The first catalog. Panics where the options asked for none.
    #[must_use]
    pub fn catalog(&self) -> &Service {
        self.first(ServiceKind::Catalog)
    }

    /// The first reservation service. Panics where the options asked for none.
    #[must_use]
    pub fn reservation(&self) -> &Service {
        self.first(ServiceKind::Reservation)
    }

    /// The first expirer. Panics where the options asked for none.
    #[must_use]
    pub fn expirer(&self) -> &Service {
        self.first(ServiceKind::Expirer)
    }

    /// The gRPC URL of the first catalog.
    #[must_use]
    pub fn catalog_url(&self) -> String {
        self.catalog().url()
    }

    /// The gRPC URL of the first reservation service.
    #[must_use]
    pub fn reservation_url(&self) -> String {
        self.reservation().url()
    }

    /// The URL of a service's database, for looking at what it wrote.
    #[must_use]
    pub fn database_url(&self, schema: Schema) -> String {
        self.postgres.url(schema.name())
    }

    /// The last lines of every log, for a test that fails.
    #[must_use]
    pub fn log_tails(&self, lines: usize) -> String {
        let tails = self.services.iter().filter_map(|service| Some(log::tail(&service.log().ok()?, lines)));
        tails.collect::<Vec<_>>().join("\n")
    }

    fn first(&self, kind: ServiceKind) -> &Service {
        let found = self.services.iter().find(|service| service.kind() == kind);
        found.expect("the stack was started with at least one of these services")
    }

    fn migrate(&self) -> Result<()> {
        for (schema, kind) in Schema::ALL.into_iter().zip([ServiceKind::Catalog, ServiceKind::Reservation]) {
            self.postgres.create_database(schema.name())?;
            Service::migrate(&self.home, kind, &self.service_env(kind))?;
        }
        Ok(())
    }

    /// What a service is to know: its own database, the broker, and the services that it calls.
    fn service_env(&self, kind: ServiceKind) -> Vec<(String, String)> {
        let mut env = self.env.clone();
        env.push(("HOLDFAST_AMQP_URL".to_owned(), self.rabbitmq.url()));
        let database = match kind {
            ServiceKind::Catalog => Some(Schema::Catalog),
            ServiceKind::Reservation => Some(Schema::Reservation),
            ServiceKind::Expirer => None,
        };
        env.extend(database.map(|schema| ("HOLDFAST_DATABASE_URL".to_owned(), self.database_url(schema))));
        for (called, name) in [
            (ServiceKind::Catalog, "HOLDFAST_CATALOG_URL"),
            (ServiceKind::Reservation, "HOLDFAST_RESERVATION_URL"),
        ] {
            let service = self.services.iter().find(|service| service.kind() == called);
            env.extend(service.map(|service| (name.to_owned(), service.url())));
        }
        env
    }
}

/// The links of a stack that has proxies. The second replica calls the second one of another service, and so on.
impl Stack {
    /// What a service that is about to start is to know, with proxies for it where the stack has them.
    fn wire(&mut self, kind: ServiceKind, replica: usize) -> Result<Vec<(String, String)>> {
        let mut env = self.service_env(kind);
        if self.proxied {
            let name = kind.replica_name(replica);
            for (variable, value) in &mut env {
                let to = match variable.as_str() {
                    "HOLDFAST_DATABASE_URL" => Some(("postgres".to_owned(), self.postgres.port())),
                    // The catalog has no use for the broker.
                    "HOLDFAST_AMQP_URL" if kind != ServiceKind::Catalog => {
                        Some(("rabbitmq".to_owned(), self.rabbitmq.port()))
                    }
                    "HOLDFAST_CATALOG_URL" => self.callee(ServiceKind::Catalog, replica),
                    "HOLDFAST_RESERVATION_URL" => self.callee(ServiceKind::Reservation, replica),
                    _ => None,
                };
                if let Some((to, upstream)) = to {
                    let link = Link::new(&name, &to, port::loopback(upstream))?;
                    *value = with_port(value, link.proxy().port())?;
                    self.links.push(link);
                }
            }
        }
        Ok(env)
    }

    /// Puts a proxy between clients and each service that they may call.
    fn wire_clients(&mut self) -> Result<()> {
        if self.proxied {
            for service in self.services.iter().filter(|service| service.kind() != ServiceKind::Expirer) {
                self.links.push(Link::new(CLIENTS, &service.name(), port::loopback(service.grpc_port()))?);
            }
        }
        Ok(())
    }

    /// Whom the replica of another service calls.
    fn callee(&self, kind: ServiceKind, replica: usize) -> Option<(String, u16)> {
        let all: Vec<&Service> = self.services.iter().filter(|service| service.kind() == kind).collect();
        let callee = all.get(replica % all.len().max(1))?;
        Some((callee.name(), callee.grpc_port()))
    }
}

/// The same URL with another port.
fn with_port(url: &str, port: u16) -> Result<String> {
    let (before, after) = url.rsplit_once(':').context("the stack's URLs have ports")?;
    let path = after.find('/').map_or("", |at| &after[at..]);
    Ok(format!("{before}:{port}{path}"))
}

/// Starts both servers at the same time.
fn start_servers(home: &Arc<Home>, options: &Options, step: Steps) -> Result<(Postgres, RabbitMq)> {
    let postgres =
        PostgresOptions { port: options.ports.postgres, durable: options.durable, settings: Vec::new() };
    let rabbitmq = RabbitMqOptions { port: options.ports.amqp };
    thread::scope(|scope| {
        let broker = scope.spawn(|| step.take("RabbitMQ ready", || RabbitMq::start(home, rabbitmq)));
        let postgres = step.take("PostgreSQL ready", || Postgres::start(home, postgres));
        let rabbitmq = broker.join().map_err(|_| anyhow!("the start of RabbitMQ panicked"))?;
        Ok((postgres?, rabbitmq?))
    })
}

/// Tells how long each step takes.
#[derive(Clone, Copy)]
struct Steps(Option<fn(&str, Duration)>);

impl Steps {
    fn take<T>(self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = work().with_context(|| format!("not done: {name}"))?;
        if let Some(progress) = self.0 {
            progress(name, start.elapsed());
        }
        Ok(done)
    }
}
