//! Closed loops: so many callers, each calling again when it has an answer. What comes out is the peak rate.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tonic::Status;

use super::{Caller, Generator, Tally, on_each};

/// When loops end.
#[derive(Clone, Copy, Debug)]
pub enum Until<'a> {
    /// After so much time.
    Time(Duration),
    /// After so many actions, in so much time at most.
    Count(u64, Duration),
    /// When somebody says so, after so much time at most.
    Said(&'a AtomicBool, Duration),
}

impl Until<'_> {
    const fn limit(self) -> Duration {
        match self {
            Self::Time(limit) | Self::Count(_, limit) | Self::Said(_, limit) => limit,
        }
    }

    /// Whether the action with this number is not to be begun any more.
    fn is_over(self, n: u64, start: Instant) -> bool {
        let over = match self {
            Self::Time(_) => false,
            Self::Count(count, _) => n >= count,
            Self::Said(said, _) => said.load(Ordering::Relaxed),
        };
        over || start.elapsed() >= self.limit()
    }
}

/// Keeps so many actions under way.
///
/// # Errors
/// A server cannot be reached, or does not answer. Actions that fail are counted.
pub fn closed(
    urls: &[String],
    in_flight: usize,
    until: Until<'_>,
    action: impl AsyncFn(&mut Caller, u64) -> Result<(), Status> + Sync,
) -> Result<Tally> {
    let next = AtomicU64::new(0);
    on_each(urls, until.limit(), async |generator| {
        let start = generator.begin();
        let tally = RefCell::new(Tally::default());
        let callers = (0..generator.share(in_flight))
            .map(|slot| turn(generator, slot, until, start, &next, &tally, &action));
        callers.collect::<FuturesUnordered<_>>().collect::<()>().await;
        let mut tally = tally.into_inner();
        tally.took = start.elapsed();
        tally
    })
}

/// One caller's work.
async fn turn(
    generator: &Generator<'_>,
    slot: usize,
    until: Until<'_>,
    start: Instant,
    next: &AtomicU64,
    tally: &RefCell<Tally>,
    action: &(impl AsyncFn(&mut Caller, u64) -> Result<(), Status> + Sync),
) {
    let mut caller = generator.caller(slot);
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if until.is_over(n, start) {
            return;
        }
        let asked = Instant::now();
        let done = action(&mut caller, n).await;
        tally.borrow_mut().note(done, asked, start);
    }
}
