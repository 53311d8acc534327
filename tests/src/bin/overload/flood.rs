//! One flood: the best goodput first, then ten times that load, then the time until the best is nearly reached again.

use std::time::Duration;

use proto::catalog::Product;
use stack::{Options, ServiceKind, Stack, Weather};
use system_tests::{World, memory_mib};
use tokio::time::Instant;

use crate::{
    load::{Calls, closed_loop, open_loop},
    verdict::{Observed, RECOVERED, broken_rules},
};

/// How long the closed loops of each number of customers are measured.
const MEASURED: Duration = Duration::from_secs(5);
/// Load in the flood, in times of the best goodput.
const TIMES: f64 = 10.0;
/// A window of the recovery, and after how long nobody waits for it any more.
const WINDOW: Duration = Duration::from_secs(2);
const RECOVERY_LIMIT: Duration = Duration::from_mins(1);
/// Connections that customers share.
const CONNECTIONS: usize = 16;
/// Products, of which nobody runs out.
const PRODUCTS: usize = 10;

/// What is asked for, and under what conditions.
#[derive(Clone, Copy)]
pub(crate) struct Flood {
    /// In words.
    pub(crate) what: &'static str,
    /// Lines of each booking.
    pub(crate) lines: usize,
    /// How far the database is from the services, one way.
    pub(crate) delay: Duration,
    /// Customers in closed loops; the best of them counts.
    pub(crate) customers: &'static [usize],
    /// Whether generator and services have processors enough, so that goodput and times are the services' own.
    pub(crate) spares_processors: bool,
}

impl Flood {
    /// Runs it, and answers which rules were broken.
    pub(crate) async fn run(self, time: Duration) -> Vec<String> {
        println!("starting PostgreSQL (durable), RabbitMQ and one of each service");
        let proxied = !self.delay.is_zero();
        let stack = Stack::start(Options { durable: true, proxied, ..Options::default() });
        let stack = stack.expect("the stack starts");
        let worlds: Vec<World> = (0..CONNECTIONS).map(|_| World::of(&stack)).collect();
        let products = products(&worlds[0]).await;
        let calls = Calls::new(worlds, &products, self.lines);
        for link in stack.links().iter().filter(|link| link.to() == "postgres") {
            link.proxy().set(Weather::Slow(self.delay));
        }
        let (best, customers) = best(&calls, self.customers).await;
        println!("best goodput: {best:.0} bookings/s with {customers} customers; memory {}", memory(&stack));

        let flood = open_loop(&calls, best * TIMES, time).await;
        println!("flood of {:.0} calls/s for {} s", best * TIMES, time.as_secs());
        println!("  sent:     {:.0} calls/s: {}", flood.sent_rate(), flood.summary());
        println!("  goodput:  {:.0} % of the best", flood.goodput() / best * 100.0);
        println!("  accepted: {}", flood.accepted());
        println!("  refused:  {}", flood.refused());
        println!("  most memory of each service: {}", memory(&stack));
        let recovery = recovery(&calls, customers, best).await;
        match recovery {
            Some(after) => println!("  recovered within {:.0} s", after.as_secs_f64()),
            None => println!("  not recovered within {} s", RECOVERY_LIMIT.as_secs()),
        }
        let most_mib = |kind: ServiceKind| {
            let of_kind = stack.services().iter().filter(move |service| service.kind() == kind);
            of_kind.map(memory_mib).max().unwrap_or_default()
        };
        broken_rules(&Observed {
            flood: self,
            best,
            meant_rate: best * TIMES,
            tally: &flood,
            recovery,
            catalog_mib: most_mib(ServiceKind::Catalog),
            reservation_mib: most_mib(ServiceKind::Reservation),
            expirer_mib: most_mib(ServiceKind::Expirer),
        })
    }
}

/// The best goodput of closed loops, and with how many customers.
async fn best(calls: &Calls, customers: &[usize]) -> (f64, usize) {
    closed_loop(calls, customers[0], MEASURED).await; // warms up
    let mut best = (0.0, 0);
    for &count in customers {
        let tally = closed_loop(calls, count, MEASURED).await;
        println!("{count:>5} customers in closed loops: {}", tally.summary());
        if tally.goodput() > best.0 {
            best = (tally.goodput(), count);
        }
    }
    best
}

async fn products(world: &World) -> Vec<Product> {
    let mut products = Vec::new();
    for _ in 0..PRODUCTS {
        products.push(world.product(1_000_000_000, Duration::from_mins(10)).await);
    }
    products
}

/// The most that each service has taken up.
fn memory(stack: &Stack) -> String {
    let of = |service: &stack::Service| format!("{} {} MiB", service.name(), memory_mib(service));
    stack.services().iter().map(of).collect::<Vec<_>>().join(", ")
}

/// How long until closed loops are as good as before.
async fn recovery(calls: &Calls, customers: usize, best: f64) -> Option<Duration> {
    let start = Instant::now();
    while start.elapsed() < RECOVERY_LIMIT {
        let tally = closed_loop(calls, customers, WINDOW).await;
        if tally.goodput() >= best * RECOVERED {
            return Some(start.elapsed());
        }
    }
    None
}
