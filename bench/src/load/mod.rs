//! The load generator: closed loops for peak rates, open loops for latency under a given load.
//!
//! It shares the machine with what it measures, so it is frugal: every generator is one thread with a runtime and connections
//! of its own, nothing is shared between them while they run, and messages are passed on as bytes.

mod caller;
mod closed;
mod open;
mod tally;

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use futures::future::try_join_all;
use tokio::runtime;
use tonic::transport::{Channel, Endpoint};

pub use self::caller::{Caller, RawCodec, Token, bearer, request};
pub use self::closed::{Until, closed};
pub use self::open::{Arrivals, open};
pub use self::tally::{Latency, SLICE, Tally};

/// Connections to each server, over all generators.
const CONNECTIONS: usize = 8;
/// What a phase may take beyond its time until everything under way has been answered.
const AFTERMATH: Duration = Duration::from_secs(30);

/// How many generators there are: one for every two processors.
fn generators() -> usize {
    thread::available_parallelism().map_or(1, |processors| processors.get() / 2).clamp(1, 8)
}

/// What one generator works with.
struct Generator<'a> {
    index: usize,
    count: usize,
    channels: Vec<Channel>,
    ready: &'a Barrier,
}

impl Generator<'_> {
    /// Its share of a number, so that the shares of all add up to it.
    fn share(&self, whole: usize) -> usize {
        whole / self.count + usize::from(self.index < whole % self.count)
    }

    fn caller(&self, n: usize) -> Caller {
        Caller::new(self.channels[n % self.channels.len()].clone())
    }

    /// Waits until all are connected; then it begins.
    fn begin(&self) -> Instant {
        self.ready.wait();
        Instant::now()
    }
}

/// Runs `work` on each generator, connected to all of `urls`, for `limit` at most, and puts together what they counted.
fn on_each<W>(urls: &[String], limit: Duration, work: W) -> Result<Tally>
where
    W: AsyncFn(&Generator<'_>) -> Tally + Sync,
{
    let count = generators();
    let ready = Barrier::new(count);
    let (work, ready) = (&work, &ready);
    let tallies: Vec<Result<Tally>> = thread::scope(|scope| {
        let generate = |index| {
            move || {
                let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
                runtime.block_on(async {
                    let channels = connect(urls, CONNECTIONS.div_ceil(count)).await;
                    let failed = channels.is_err();
                    let generator = Generator {
                        index,
                        count,
                        channels: channels.as_deref().unwrap_or(&[]).to_vec(),
                        ready,
                    };
                    if failed {
                        // The others wait for everyone.
                        generator.begin();
                        return channels.map(|_| Tally::default());
                    }
                    let counted = tokio::time::timeout(limit + AFTERMATH, work(&generator)).await;
                    counted.context("calls were not answered in time")
                })
            }
        };
        let running: Vec<_> = (0..count).map(|index| scope.spawn(generate(index))).collect();
        running
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a generator panicked"))?)
            .collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.merge(&tally?);
    }
    Ok(all)
}

/// Connects to each server, so many times. Connections to different servers take turns.
async fn connect(urls: &[String], each: usize) -> Result<Vec<Channel>> {
    let connecting = (0..each).flat_map(|_| urls).map(async |url| {
        let endpoint = Endpoint::from_shared(url.clone())?.tcp_nodelay(true);
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5));
        endpoint.connect().await.with_context(|| format!("connect to {url}"))
    });
    try_join_all(connecting).await
}
