//! Open loops: calls at a fixed rate, whatever the answers. Latency counts from when a call was meant to be made, so that
//! waiting of any kind shows, also that of the generator.

use std::cell::RefCell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tonic::Status;

use super::{Caller, Generator, Tally, on_each};

/// Calls to make.
#[derive(Clone, Copy, Debug)]
pub struct Arrivals {
    /// How many each second.
    pub rate: f64,
    /// For how long.
    pub time: Duration,
    /// How many may be under way. What arrives beyond it is not sent, and counted.
    pub under_way: usize,
}

/// Makes the calls.
///
/// # Errors
/// A server cannot be reached, or does not answer. Actions that fail are counted.
pub fn open(
    urls: &[String],
    arrivals: Arrivals,
    action: impl AsyncFn(&mut Caller, u64) -> Result<(), Status> + Sync,
) -> Result<Tally> {
    on_each(urls, arrivals.time, async |generator| {
        let start = generator.begin();
        let (sender, receiver) = unbounded_channel();
        let count = generator.count;
        let offset = generator.index;
        // Its sleeps are good to a tenth of a millisecond; the runtime's timers are not.
        let pacer = thread::spawn(move || pace(arrivals, start, offset, count, &sender));
        let mut tally = serve(generator, arrivals, start, receiver, &action).await;
        let _ = pacer.join();
        tally.took = start.elapsed();
        tally
    })
}

/// Sends the number of each call and when it is meant to be made, at that time: of every `count` calls the one at `offset`.
fn pace(
    arrivals: Arrivals,
    start: Instant,
    offset: usize,
    count: usize,
    due: &UnboundedSender<(u64, Instant)>,
) {
    for n in (offset as u64..).step_by(count) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let after = Duration::from_secs_f64(n as f64 / arrivals.rate);
        if after >= arrivals.time {
            return;
        }
        let at = start + after;
        if let Some(early) = at.checked_duration_since(Instant::now()) {
            thread::sleep(early);
        }
        if due.send((n, at)).is_err() {
            return;
        }
    }
}

/// Makes calls as they come due, until there are no more and all are answered.
async fn serve(
    generator: &Generator<'_>,
    arrivals: Arrivals,
    start: Instant,
    mut due: UnboundedReceiver<(u64, Instant)>,
    action: &(impl AsyncFn(&mut Caller, u64) -> Result<(), Status> + Sync),
) -> Tally {
    let tally = RefCell::new(Tally::default());
    let mut calls = FuturesUnordered::new();
    let (mut more, limit) = (true, generator.share(arrivals.under_way));
    while more || !calls.is_empty() {
        tokio::select! {
            Some(()) = calls.next(), if !calls.is_empty() => {}
            arrival = due.recv(), if more => match arrival {
                None => more = false,
                Some(_) if calls.len() >= limit => tally.borrow_mut().unsent += 1,
                Some((n, at)) => {
                    let mut caller = generator.caller(usize::try_from(n).unwrap_or_default());
                    let tally = &tally;
                    calls.push(async move {
                        let done = action(&mut caller, n).await;
                        tally.borrow_mut().note(done, at, start);
                    });
                }
            },
        }
    }
    drop(calls);
    tally.into_inner()
}
