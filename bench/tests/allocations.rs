//! What a hold takes from the allocator in the reservation service: counted, so that it does not depend on the machine's speed.
//!
//! The service runs in this process, on one thread, where `allocation-counter` counts; its clients run on others.

use std::pin::Pin;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use bench::calls::unit;
use bench::goods::{OPEN, products};
use bench::load::{Until, closed};
use bench::site::Site;
use clap::Parser as _;
use reservation::Config;
use server::Endpoints;
use stack::{Options, Schema, wait};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Calls in flight, as where statements and messages are counted.
const IN_FLIGHT: usize = 64;
/// Holds that connect, prepare statements and make buffers grow; and those that count.
const WARM_UP: u64 = 500;
const COUNTED: u64 = 2_000;
/// What getting ready may take, and placing them.
const LIMIT: Duration = Duration::from_mins(2);
/// Bounds for one hold. It took 67 and 22 kB; with the buffers of 8 KiB that tonic would use, 36 kB.
const ALLOCATIONS: u64 = 80;
const BYTES: u64 = 28_000;

type Serving<'a> = Pin<&'a mut dyn Future<Output = Result<()>>>;

#[test]
fn a_hold_takes_few_allocations_and_no_large_ones() {
    let site = Site::start(Options::default()).expect("a stack starts");
    // It would do a share of the work.
    site.stack.reservation().stop();
    let line = unit(products(&site, 1, OPEN).expect("a product can be made")[0]);
    let config = Config::parse_from([
        "reservation",
        "--database-url",
        &site.stack.database_url(Schema::Reservation),
        "--amqp-url",
        &site.stack.rabbitmq().url(),
        "--catalog-url",
        &site.stack.catalog_url(),
        "--log",
        "warn",
    ]);
    let build = telemetry::Build::new("reservation", "of this test", None, "");
    let _telemetry = telemetry::init(&build, &config.telemetry).expect("set up");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let endpoints = runtime.block_on(bind()).expect("free ports");
    let url = format!("http://{}", endpoints.grpc.local_addr().expect("an address"));
    let http = endpoints.http.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let mut serving = Box::pin(reservation::serve(endpoints, &config, stop.clone()));

    let ready = move || {
        let is_ready = || stack::http::get(http, "/readyz").is_ok_and(|answer| answer.status == 200);
        anyhow::ensure!(wait::until(LIMIT, is_ready), "not ready within {LIMIT:?}");
        Ok(())
    };
    beside(&runtime, serving.as_mut(), ready).expect("it gets ready");
    let mut place = |count| {
        let (url, line) = (url.clone(), line.clone());
        beside(&runtime, serving.as_mut(), move || {
            let until = Until::Count(count, LIMIT);
            closed(&[url], IN_FLIGHT, until, async |caller, n| caller.hold(n, &line).await.map(drop))?.sound()
        })
    };
    place(WARM_UP).expect("holds can be placed");
    let mut placed = None;
    let taken = allocation_counter::measure(|| placed = Some(place(COUNTED)));
    let placed = placed.expect("it was run").expect("holds can be placed");
    assert_eq!(placed.done, COUNTED);
    let (allocations, bytes) = (taken.count_total / COUNTED, taken.bytes_total / COUNTED);
    println!("a hold takes {allocations} allocations, {bytes} bytes");
    assert!(
        0 < allocations && allocations <= ALLOCATIONS,
        "{allocations} allocations, at most {ALLOCATIONS}"
    );
    assert!(0 < bytes && bytes <= BYTES, "{bytes} bytes, at most {BYTES}");

    stop.cancel();
    runtime.block_on(serving).expect("it stops in good order");
}

async fn bind() -> Result<Endpoints> {
    let local = || TcpListener::bind(("127.0.0.1", 0));
    Ok(Endpoints { grpc: local().await?.into(), http: local().await?.into() })
}

/// Serves until `work` is done on a thread of its own.
fn beside<T: Send + 'static>(
    runtime: &Runtime,
    mut serving: Serving<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, done) = oneshot::channel();
    thread::spawn(move || sender.send(work()));
    runtime.block_on(async {
        tokio::select! {
            ended = &mut serving => ended.and(Err(anyhow::anyhow!("the service ended"))),
            done = done => done.context("the work panicked")?,
        }
    })
}
