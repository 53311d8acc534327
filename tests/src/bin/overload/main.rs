//! `make overload`: how Holdfast does under ten times the load that this machine can take.
//!
//! First the best goodput that closed loops of customers reach; then calls at ten times that rate, whatever the answers; then
//! the time until the best is nearly reached again. Generator and services share the machine, so what the generator itself
//! takes is missing from goodput in the flood: the rate that was really sent is printed beside the one that was meant.

mod load;

use std::{env, fs, time::Duration};

use proto::catalog::Product;
use stack::{Options, Stack};
use system_tests::{World, memory_mib};
use tokio::time::Instant;

use crate::load::{Calls, Tally, closed_loop, open_loop};

/// Customers in the closed loops; the best of them counts.
const CUSTOMERS: [usize; 4] = [64, 256, 1_024, 1_536];
/// How long each of them is measured.
const MEASURED: Duration = Duration::from_secs(5);
/// Load in the flood, in times of the best goodput.
const TIMES: u32 = 10;
/// A window of the recovery, and the part of the best that counts as recovered.
const WINDOW: Duration = Duration::from_millis(500);
const RECOVERED: f64 = 0.9;
/// Connections that customers share.
const CONNECTIONS: usize = 16;

#[tokio::main]
async fn main() {
    let seconds = env::args().nth(1).map_or(60, |text| text.parse().expect("the duration in seconds"));
    println!("starting PostgreSQL (durable), RabbitMQ and one of each service");
    let stack = Stack::start(Options { durable: true, ..Options::default() }).expect("the stack starts");
    let worlds: Vec<World> = (0..CONNECTIONS).map(|_| World::of(&stack)).collect();
    let calls = Calls::new(worlds.clone(), products(&worlds[0]).await);
    println!("load average before: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());

    closed_loop(&calls, 64, MEASURED).await; // warms up
    let (mut best, mut customers) = (0.0, 0);
    for count in CUSTOMERS {
        let tally = closed_loop(&calls, count, MEASURED).await;
        println!("{count:>5} customers in closed loops: {}", tally.summary());
        if tally.goodput() > best {
            (best, customers) = (tally.goodput(), count);
        }
    }
    println!("best goodput: {best:.0} bookings/s with {customers} customers; memory {}", memory(&stack));

    let rate = best * f64::from(TIMES);
    let flood = open_loop(&calls, rate, Duration::from_secs(seconds)).await;
    println!("\nflood of {rate:.0} calls/s for {seconds} s: {:.0} calls/s were sent", flood.sent_rate());
    println!("  {}", flood.summary());
    println!(
        "  goodput: {:.0} bookings/s, {:.0} % of the best",
        flood.goodput(),
        flood.goodput() / best * 100.0
    );
    println!("  accepted: {}", flood.accepted());
    println!("  refused:  {}", flood.refused());
    println!("  most memory of each service: {}", memory(&stack));
    println!("\nrecovery: {}", recovery(&calls, customers, best).await);
    println!("load average after: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
}

/// Ten products, of which nobody runs out.
async fn products(world: &World) -> Vec<Product> {
    let mut products = Vec::new();
    for _ in 0..10 {
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
async fn recovery(calls: &Calls, customers: usize, best: f64) -> String {
    let start = Instant::now();
    let mut tally = Tally::default();
    while start.elapsed() < Duration::from_mins(1) {
        tally = closed_loop(calls, customers, WINDOW).await;
        if tally.goodput() >= best * RECOVERED {
            return format!("{:.0} bookings/s after {:.1} s", tally.goodput(), start.elapsed().as_secs_f64());
        }
    }
    format!("not within a minute: {:.0} bookings/s", tally.goodput())
}
