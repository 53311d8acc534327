//! The whole: PostgreSQL, RabbitMQ and the services, started together and ended together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustls::ClientConfig;

use crate::home::Home;
use crate::issuer::TokenIssuer;
use crate::links::{CLIENTS, Link};
use crate::log;
use crate::options::{Options, Ports};
use crate::pki::Pki;
use crate::port;
use crate::postgres::{Postgres, PostgresPair, Schema};
use crate::rabbitmq::RabbitMq;
use crate::servers::Servers;
use crate::service::{Service, ServiceKind, ServiceOptions};

/// A running Holdfast with its own PostgreSQL and RabbitMQ.
///
/// Everything ends when the last owner goes or its process dies, in whatever way: a `static` in a test will do.
/// All calls block; none needs a runtime.
#[derive(Debug)]
pub struct Stack {
    home: Arc<Home>,
    pki: Option<Arc<Pki>>,
    issuer: Option<TokenIssuer>,
    servers: Servers,
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
        let pki = if options.tls { Some(Arc::new(Pki::new(&home.dir().join("tls"))?)) } else { None };
        ensure!(pki.is_none() || home.is_temporary(), "a stack with certificates is not kept");
        let issuer = if options.auth { Some(TokenIssuer::open(&home.dir().join("auth"))?) } else { None };
        let servers = Servers::start(&home, &options, pki.as_ref(), step)?;
        let Options { env, proxied, .. } = options;
        let (services, links) = (Vec::new(), Vec::new());
        let mut stack = Self { home, pki, issuer, servers, services, env, proxied, links };
        if let Some(pki) = &stack.pki {
            ServiceKind::ALL.iter().try_for_each(|kind| pki.issue(kind.name(), &[]).map(drop))?;
        }
        if let Some(issuer) = &stack.issuer {
            ServiceKind::ALL.iter().try_for_each(|kind| issuer.service_token(kind.name()).map(drop))?;
        }
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
                    let tls = stack.trust()?;
                    let options = ServiceOptions { kind, replica, grpc_port, http_port, env, tls };
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
            ServiceOptions {
                kind,
                replica,
                grpc_port: None,
                http_port: None,
                env: wired,
                tls: self.trust()?,
            },
        )
    }

    /// Runs the subcommand `migrate` of a service, with further environment variables.
    pub fn migrate_with(&self, kind: ServiceKind, env: &[(&str, &str)]) -> Result<()> {
        let of_its_own = env.iter().any(|(name, _)| *name == "HOLDFAST_DATABASE_URL");
        let mut all = if of_its_own { self.service_env(kind) } else { self.migration_env(kind) };
        all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        Service::migrate(&self.home, kind, &all)
    }

    /// Its folder.
    #[must_use]
    pub fn home(&self) -> &Arc<Home> {
        &self.home
    }

    /// Its PostgreSQL server; of two, the one that is the primary now.
    #[must_use]
    pub fn postgres(&self) -> &Postgres {
        self.servers.postgres()
    }

    /// The primary and its standby, where the options asked for a cluster.
    #[must_use]
    pub fn postgres_pair(&self) -> Option<&PostgresPair> {
        self.servers.pair()
    }

    /// Its RabbitMQ node; of several, the first.
    #[must_use]
    pub fn rabbitmq(&self) -> &RabbitMq {
        &self.rabbitmq_nodes()[0]
    }

    /// All its RabbitMQ nodes.
    #[must_use]
    pub fn rabbitmq_nodes(&self) -> &[RabbitMq] {
        self.servers.rabbitmq_nodes()
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

    /// The URL of a service's database, for looking at what it wrote; of two servers, on the one that is the primary now.
    #[must_use]
    pub fn database_url(&self, schema: Schema) -> String {
        self.postgres().url(schema.name())
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
            self.postgres().prepare(schema)?;
            Service::migrate(&self.home, kind, &self.migration_env(kind))?;
        }
        Ok(())
    }

    /// What a service is to know: its own database, the broker, and the services that it calls.
    fn service_env(&self, kind: ServiceKind) -> Vec<(String, String)> {
        let mut env = self.env.clone();
        env.push(("HOLDFAST_AMQP_URL".to_owned(), self.servers.broker_url()));
        env.extend(self.certificates(kind));
        env.extend(self.tokens(kind));
        env.extend(
            schema(kind)
                .map(|schema| ("HOLDFAST_DATABASE_URL".to_owned(), self.servers.database_url(schema))),
        );
        // For browsers, which know of one address only.
        if let Some(catalog) = self.services.iter().find(|service| service.kind() == ServiceKind::Catalog) {
            env.push(("HOLDFAST_CATALOG_HTTP_URL".to_owned(), catalog.http_url()));
        }
        for (called, name) in [
            (ServiceKind::Catalog, "HOLDFAST_CATALOG_URL"),
            (ServiceKind::Reservation, "HOLDFAST_RESERVATION_URL"),
        ] {
            let urls: Vec<String> =
                self.services.iter().filter(|service| service.kind() == called).map(Service::url).collect();
            if !urls.is_empty() {
                env.push((name.to_owned(), urls.join(",")));
            }
        }
        env
    }
}

/// What belongs to the database of a service.
fn schema(kind: ServiceKind) -> Option<Schema> {
    match kind {
        ServiceKind::Catalog => Some(Schema::Catalog),
        ServiceKind::Reservation => Some(Schema::Reservation),
        ServiceKind::Expirer => None,
    }
}

/// The certificates and roles of a stack.
impl Stack {
    /// Who issued its certificates, where the options asked for TLS.
    #[must_use]
    pub fn pki(&self) -> Option<&Arc<Pki>> {
        self.pki.as_ref()
    }

    /// Who issues its tokens, where the options asked for it.
    #[must_use]
    pub fn issuer(&self) -> Option<&TokenIssuer> {
        self.issuer.as_ref()
    }

    /// Whom a service believes, and what it shows: a token, or its certificate where it has one.
    fn tokens(&self, kind: ServiceKind) -> Vec<(String, String)> {
        let Some(issuer) = &self.issuer else { return Vec::new() };
        let mut env = issuer.env(kind);
        if self.pki.is_some() {
            env.retain(|(name, _)| name != "HOLDFAST_TOKEN_FILE");
            let names = ServiceKind::ALL.map(ServiceKind::name).join(",");
            env.push(("HOLDFAST_SERVICE_NAMES".to_owned(), names));
        }
        env
    }

    /// What a migration is to know: what the service is, and the owner's way in.
    fn migration_env(&self, kind: ServiceKind) -> Vec<(String, String)> {
        let mut env = self.service_env(kind);
        let owner = schema(kind).map(|schema| self.servers.migrate_url(schema));
        env.extend(owner.map(|url| ("HOLDFAST_MIGRATE_URL".to_owned(), url)));
        env
    }

    /// How the stack itself trusts its services.
    fn trust(&self) -> Result<Option<Arc<ClientConfig>>> {
        self.pki.as_ref().map(|pki| pki.client(None)).transpose()
    }

    /// The files of a service: one certificate for all that it does.
    fn certificates(&self, kind: ServiceKind) -> Vec<(String, String)> {
        let Some(pki) = &self.pki else { return Vec::new() };
        let own = pki.files(kind.name());
        let (ca, cert, key) = (pki.ca(), own.cert, own.key);
        let variables = [
            ("HOLDFAST_TLS_CLIENT_CA_FILE", &ca),
            ("HOLDFAST_TLS_CERT_FILE", &cert),
            ("HOLDFAST_TLS_KEY_FILE", &key),
            ("HOLDFAST_CALLS_CA_FILE", &ca),
            ("HOLDFAST_CALLS_CERT_FILE", &cert),
            ("HOLDFAST_CALLS_KEY_FILE", &key),
            ("HOLDFAST_AMQP_CA_FILE", &ca),
            ("HOLDFAST_AMQP_CERT_FILE", &cert),
            ("HOLDFAST_AMQP_KEY_FILE", &key),
        ];
        variables.map(|(name, file)| (name.to_owned(), file.display().to_string())).into()
    }
}

/// The links of a stack that has proxies.
impl Stack {
    /// What a service that is about to start is to know, with proxies for it where the stack has them.
    fn wire(&mut self, kind: ServiceKind, replica: usize) -> Result<Vec<(String, String)>> {
        let mut env = self.service_env(kind);
        if self.proxied {
            let name = kind.replica_name(replica);
            for (variable, value) in &mut env {
                let callees = match variable.as_str() {
                    "HOLDFAST_DATABASE_URL" => self.servers.databases(),
                    // The catalog has no use for the broker.
                    "HOLDFAST_AMQP_URL" if kind != ServiceKind::Catalog => self.servers.brokers(),
                    "HOLDFAST_CATALOG_URL" if kind != ServiceKind::Catalog => {
                        self.callees(ServiceKind::Catalog)
                    }
                    "HOLDFAST_RESERVATION_URL" if kind == ServiceKind::Expirer => {
                        self.callees(ServiceKind::Reservation)
                    }
                    _ => Vec::new(),
                };
                for (to, upstream) in callees {
                    let link = Link::new(&name, &to, port::loopback(upstream))?;
                    // Ports that were chosen here have five digits: none is the beginning of another.
                    let wired = value.replace(&format!(":{upstream}"), &format!(":{}", link.proxy().port()));
                    ensure!(wired != *value, "{variable} of {name} does not lead to {to}");
                    *value = wired;
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

    /// Whom the others call.
    fn callees(&self, kind: ServiceKind) -> Vec<(String, u16)> {
        let all = self.services.iter().filter(|service| service.kind() == kind);
        all.map(|service| (service.name(), service.grpc_port())).collect()
    }
}

/// Tells how long each step takes.
#[derive(Clone, Copy)]
pub(crate) struct Steps(Option<fn(&str, Duration)>);

impl Steps {
    /// Does one of them.
    pub(crate) fn take<T>(self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let start = Instant::now();
        let done = work().with_context(|| format!("not done: {name}"))?;
        if let Some(progress) = self.0 {
            progress(name, start.elapsed());
        }
        Ok(done)
    }
}
