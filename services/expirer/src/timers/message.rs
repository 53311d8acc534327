//! One timer message, from its arrival to its acknowledgement.

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use amqp::{Delivery, Message, Poison, Timer};
use failpoint::{Step, reach};
use futures::{FutureExt as _, StreamExt as _, future, stream::FuturesUnordered};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::Timers;
use crate::{
    failure::{self, Failure},
    schedule::{self, Chunk, Pending, Plan},
    settler::NotDue,
    verdict::Path,
};

/// How often a hold is asked about whose question is refused, before its message is put aside.
const MAX_REFUSALS: usize = 5;

/// No hold lasts longer. A timer that says so would be parked for ever; it is asked about at once.
const LONGEST: Duration = Duration::from_hours(48);

/// Why a message was not finished.
enum Unfinished {
    /// There was no more time: it comes again.
    Stopped,
    /// Somebody refuses to handle it.
    Refused(Failure),
    /// Handling it panicked, which is in the log.
    Panicked,
}

/// Handles one message.
pub(super) struct Handler {
    pub(super) timers: Arc<Timers>,
    pub(super) stop: CancellationToken,
}

impl Handler {
    pub(super) async fn handle(self, delivery: Delivery) {
        let timers = match delivery.timers() {
            Ok(timers) => timers,
            Err(poison) => {
                report(&poison);
                return self.put_aside(delivery).await;
            }
        };
        let span = delivery.span(timers.len());
        // Unwind safe: of what it worked with, only batchers and counters are used again.
        let finished = AssertUnwindSafe(self.finish(timers, delivery.traceparent())).catch_unwind();
        match finished.instrument(span).await.unwrap_or(Err(Unfinished::Panicked)) {
            Ok(()) => {
                // An acknowledgement that does not arrive: the message comes again with the next connection.
                if reach(Step::DueAcking).await.is_ok() {
                    delivery.ack().await;
                }
            }
            Err(Unfinished::Stopped) => {}
            Err(Unfinished::Refused(failure)) => {
                tracing::error!(%failure, "a message that is refused goes to holds.parked; the sweep takes over");
                self.put_aside(delivery).await;
            }
            Err(Unfinished::Panicked) => {
                tracing::error!(
                    "a message that cannot be handled goes to holds.parked; the sweep takes over"
                );
                self.put_aside(delivery).await;
            }
        }
    }

    /// Puts a message into `holds.parked`. If that does not arrive, it comes again with the next connection.
    async fn put_aside(&self, delivery: Delivery) {
        self.timers.metrics.poison();
        if reach(Step::PoisonFound).await.is_ok() {
            delivery.park().await;
        }
    }

    /// Settles every hold, or parks it again.
    async fn finish(&self, timers: Vec<Timer>, traceparent: Option<&str>) -> Result<(), Unfinished> {
        let now = Instant::now();
        let clock = &self.timers.clock;
        let left = |timer: &Timer| clock.left(timer.expires_at, now);
        let credible = |left: Duration| if left > LONGEST { Duration::ZERO } else { left };
        let pending =
            timers.into_iter().map(|timer| Pending { left: credible(left(&timer)), timer }).collect();
        let mut asking = FuturesUnordered::new();
        let mut plan = schedule::plan(pending, &self.timers.lanes);
        loop {
            let Plan { park, ask } = plan;
            let messages = park.iter().map(|(route, timers)| Message::timer(*route, timers, traceparent));
            future::try_join_all(messages.map(|message| self.park(message))).await?;
            self.timers.metrics.parked(park.iter().map(|(_, timers)| timers.len()).sum());
            asking.extend(ask.into_iter().map(|chunk| self.ask(chunk)));
            let Some(not_due) = asking.next().await else { return Ok(()) };
            plan = schedule::plan(again(not_due?), &self.timers.lanes);
        }
    }

    /// Waits for the time of a chunk, and settles it for as long as that takes.
    async fn ask(&self, Chunk { keys, wait }: Chunk) -> Result<Vec<NotDue>, Unfinished> {
        if !wait.is_zero() {
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.cancelled() => return Err(Unfinished::Stopped),
            }
        }
        let attempt = || {
            let (settler, keys) = (self.timers.settler.clone(), keys.clone());
            async move {
                reach(Step::DueWaited).await?;
                settler.settle(Path::Timer, keys).await
            }
        };
        self.insist(attempt).await
    }

    async fn park(&self, message: Message) -> Result<(), Unfinished> {
        let attempt = || {
            let (parking, message) = (self.timers.parking.clone(), message.clone());
            async move {
                reach(Step::ParkPlanned).await?;
                parking.park(message).await?;
                Ok(reach(Step::ParkPublished).await?)
            }
        };
        self.insist(attempt).await
    }

    /// Tries until it succeeds: through any outage, but only so often against a refusal.
    async fn insist<T, Fut>(&self, attempt: impl Fn() -> Fut) -> Result<T, Unfinished>
    where
        Fut: Future<Output = Result<T, Failure>>,
    {
        let mut refusals = 0;
        for delay in failure::delays() {
            match attempt().await {
                Ok(done) => return Ok(done),
                Err(Failure::Outage(_)) => {}
                Err(failure @ Failure::Defect(_)) => {
                    refusals += 1;
                    if refusals == MAX_REFUSALS {
                        return Err(Unfinished::Refused(failure));
                    }
                }
            }
            tokio::select! {
                () = sleep(delay) => {}
                () = self.stop.cancelled() => return Err(Unfinished::Stopped),
            }
        }
        Err(Unfinished::Stopped)
    }
}

fn report(poison: &Poison) {
    tracing::error!(error = %telemetry::Chain(poison), "a message that nobody can handle goes to holds.parked");
}

/// What was not due, as timers with the time that is left by now.
fn again(not_due: Vec<NotDue>) -> Vec<Pending> {
    let now = Instant::now();
    let pending = |NotDue { key, expires_at, due_at }: NotDue| Pending {
        left: due_at.saturating_duration_since(now),
        timer: Timer { key, expires_at },
    };
    not_due.into_iter().map(pending).collect()
}
