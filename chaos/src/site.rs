//! The stack under test: where faults are carried out and mended. All of it blocks.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use stack::{Options, PostgresPair, RabbitMq, Service, ServiceKind, Shutdown, Stack, Weather, wait};

use crate::fault::{Fault, ServerFault, Struck, Target};
use crate::plan::Shape;
use crate::purge;

/// How long a service is waited for that was started again. It may need something else that is away at the moment.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How often a server is started that does not come back.
const STARTS: usize = 3;

/// How holds of this run last, in milliseconds: the lanes.
pub const HOLD_TTLS_MS: [u64; 4] = [600, 1_000, 1_800, 3_000];

/// A stack with two replicas of each service and a proxy on each link.
#[derive(Debug)]
pub struct Site {
    stack: Stack,
}

impl Site {
    /// Starts it; on a cluster, if wanted.
    pub fn start(cluster: bool, progress: fn(&str, Duration)) -> Result<Self> {
        let ttls = HOLD_TTLS_MS.map(|ttl| ttl.to_string()).join(",");
        let options = Options {
            catalogs: 2,
            reservations: 2,
            expirers: 2,
            proxied: true,
            cluster,
            progress: Some(progress),
            ..Options::default()
        };
        let options = options
            .env("HOLDFAST_HOLD_TTLS_MS", &ttls)
            .env("HOLDFAST_SWEEP_INTERVAL_MS", "500")
            .env("HOLDFAST_REVIEW_GRACE_MS", "300")
            .env("HOLDFAST_MAX_OPEN_HOLDS_PER_CUSTOMER", "1000000")
            .env("HOLDFAST_PAYMENT_WINDOW_MS", "1500")
            .env("HOLDFAST_MAX_HOLD_MS", "8000")
            .env("HOLDFAST_DRAFT_TTL_MS", "3000");
        Ok(Self { stack: Stack::start(options)? })
    }

    /// The stack.
    #[must_use]
    pub fn stack(&self) -> &Stack {
        &self.stack
    }

    /// What there is to break.
    #[must_use]
    pub fn shape(&self) -> Shape {
        Shape {
            services: self.stack.services().len(),
            links: self.stack.links().len(),
            nodes: self.stack.rabbitmq_nodes().len(),
        }
    }

    /// The URLs under which clients reach the services of a kind: through proxies.
    #[must_use]
    pub fn urls(&self, kind: ServiceKind) -> Vec<String> {
        let links = self.stack.links().iter().filter(|link| link.from() == stack::CLIENTS);
        links.filter(|link| link.to().starts_with(kind.name())).map(stack::Link::url).collect()
    }

    /// The links that nothing went over. Of the servers of a cluster one is enough: the others are for when it is away.
    #[must_use]
    pub fn unused_links(&self) -> Vec<String> {
        let mut used: BTreeMap<(&str, &str), u64> = BTreeMap::new();
        for link in self.stack.links() {
            let server = ["postgres", "rabbitmq"].into_iter().find(|server| link.to().starts_with(server));
            *used.entry((link.from(), server.unwrap_or(link.to()))).or_default() +=
                link.proxy().connections();
        }
        let unused = used.into_iter().filter(|(_, connections)| *connections == 0);
        unused.map(|((from, to), _)| format!("{from} -> {to}")).collect()
    }

    /// What a target is called.
    #[must_use]
    pub fn name(&self, target: Target) -> String {
        match target {
            Target::Service(service) => self.service(service).name(),
            Target::Postgres => "PostgreSQL".to_owned(),
            Target::RabbitMq => "RabbitMQ".to_owned(),
            Target::Link(link) => self.stack.links()[link].name(),
        }
    }

    /// Carries a fault out. A service that is not there cannot be struck.
    pub fn strike(&self, fault: Fault) -> Result<Struck> {
        if let Target::Service(service) = fault.target()
            && !self.service(service).is_running()
        {
            return Ok(Struck::Nothing);
        }
        match fault {
            Fault::Kill(service) => self.service(service).kill(),
            Fault::Terminate(service) => self.service(service).stop(),
            Fault::Pause(service) => self.service(service).freeze(),
            Fault::Postgres(fault) => match fault {
                ServerFault::Restart => self.stack.postgres().stop(Shutdown::Fast),
                ServerFault::Immediate => self.stack.postgres().stop(Shutdown::Immediate),
                ServerFault::Kill => self.stack.postgres().kill(),
                ServerFault::Pause => self.stack.postgres().freeze(),
            },
            Fault::Failover => self.pair()?.promote()?,
            Fault::Standby => self.pair()?.standby().kill(),
            Fault::RabbitMq(fault) => strike_node(self.stack.rabbitmq(), fault),
            Fault::Node(node, fault) => strike_node(self.node(node), fault),
            Fault::Purge => {
                let timers = purge::timers(&self.stack.rabbitmq().url())?;
                return Ok(if timers > 0 { Struck::Purged(timers) } else { Struck::Nothing });
            }
            Fault::Link(link, weather) => self.stack.links()[link].proxy().set(weather),
        }
        Ok(Struck::Broken)
    }

    /// Mends what a fault has broken, and waits until it is back.
    pub fn mend(&self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill(service) | Fault::Terminate(service) => {
                let service = self.service(service);
                service.spawn()?;
                wait::until(READY_LIMIT, || is_ready(service) || !service.is_running());
            }
            Fault::Pause(service) => self.service(service).thaw(),
            Fault::Postgres(ServerFault::Pause) => self.stack.postgres().thaw(),
            Fault::Postgres(_) => insist(|| self.stack.postgres().restart())?,
            Fault::Failover => insist(|| self.pair()?.rebuild())?,
            Fault::Standby => insist(|| self.pair()?.standby().restart())?,
            Fault::RabbitMq(fault) => mend_node(self.stack.rabbitmq(), fault)?,
            Fault::Node(node, fault) => mend_node(self.node(node), fault)?,
            Fault::Purge => {}
            Fault::Link(link, _) => self.stack.links()[link].proxy().set(Weather::Fair),
        }
        Ok(())
    }

    /// Starts a service again that has ended by itself. True if it had.
    pub fn revive(&self, service: usize) -> Result<bool> {
        let service = self.service(service);
        let ended = !service.is_running();
        if ended {
            service.kill();
            service.spawn()?;
        }
        Ok(ended)
    }

    /// Waits until everything is ready again.
    pub fn await_ready(&self, limit: Duration) -> Result<()> {
        for service in self.stack.services() {
            ensure!(
                wait::until(limit, || is_ready(service)),
                "{} is not ready, with everything mended: {:?}",
                service.name(),
                service.get("/readyz").map(|answer| answer.body)
            );
        }
        Ok(())
    }

    fn pair(&self) -> Result<&PostgresPair> {
        self.stack.postgres_pair().context("PostgreSQL has no standby")
    }

    fn node(&self, node: usize) -> &RabbitMq {
        &self.stack.rabbitmq_nodes()[node]
    }

    fn service(&self, service: usize) -> &Service {
        &self.stack.services()[service]
    }
}

fn strike_node(node: &RabbitMq, fault: ServerFault) {
    match fault {
        ServerFault::Restart | ServerFault::Immediate => node.stop(),
        ServerFault::Kill => node.kill(),
        ServerFault::Pause => node.freeze(),
    }
}

fn mend_node(node: &RabbitMq, fault: ServerFault) -> Result<()> {
    if fault == ServerFault::Pause {
        node.thaw();
        return Ok(());
    }
    insist(|| node.restart())
}

fn is_ready(service: &Service) -> bool {
    service.get("/readyz").is_ok_and(|answer| answer.status == 200)
}

fn insist(start: impl Fn() -> Result<()>) -> Result<()> {
    for _ in 1..STARTS {
        if start().is_ok() {
            return Ok(());
        }
    }
    start()
}
