//! Timers that come back from the lanes: each message waits here for its last moments, and is acknowledged when all of its
//! holds are settled or parked again.

mod message;

use std::{sync::Arc, time::Duration};

use amqp::{Broker, Deliveries, Lanes, topology};
use failpoint::{Step, reach};
use tokio::{
    sync::Semaphore,
    time::{sleep, timeout},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::message::Handler;
use crate::{clock::Clock, failure, metrics::Metrics, parking::Parking, settler::Settler};

/// How long what is in hand may take to finish once the process is to stop; what takes longer comes again.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// The most that is read of messages in hand, in bytes: some 100,000 holds. It bounds the memory that they take, a few times as
/// much; messages beyond it wait as they came.
const MAX_BYTES: u32 = 6 << 20;

/// Takes timers from `holds.due`.
pub(crate) struct Timers {
    /// Settles what is due.
    pub(crate) settler: Settler,
    /// Says what is due.
    pub(crate) clock: Clock,
    /// Parks what is not.
    pub(crate) parking: Parking,
    /// Where.
    pub(crate) lanes: Lanes,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
}

impl Timers {
    /// Takes messages, `prefetch` at a time, over every connection that there is, until `stop`; then finishes what is in hand.
    pub(crate) async fn run(self: Arc<Self>, broker: Broker, prefetch: u16, stop: CancellationToken) {
        let mut delays = failure::delays();
        loop {
            let ready = async {
                self.clock.known().await;
                broker.up().await;
                broker.consume(topology::DUE, prefetch).await
            };
            let consuming = tokio::select! {
                consuming = ready => consuming,
                () = stop.cancelled() => return,
            };
            match consuming {
                Ok(deliveries) => {
                    tracing::info!(queue = topology::DUE, "taking timers");
                    self.take(deliveries, &stop).await;
                    delays = failure::delays();
                }
                Err(error) => tracing::warn!(%error, "timers cannot be taken"),
            }
            tokio::select! {
                () = sleep(delays.next().unwrap_or_default()) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Handles messages, each in a task, until the connection ends or `stop`.
    async fn take(self: &Arc<Self>, mut deliveries: Deliveries, stop: &CancellationToken) {
        let tasks = TaskTracker::new();
        let ended = stop.child_token();
        let hands = Arc::new(Semaphore::new(MAX_BYTES as usize));
        loop {
            let delivery = tokio::select! {
                delivery = deliveries.next() => delivery,
                () = stop.cancelled() => break,
            };
            let (Some(delivery), Ok(())) = (delivery, reach(Step::DueTaken).await) else {
                // Whatever is in hand comes again over the next connection: it need not wait here too.
                ended.cancel();
                return;
            };
            let size = u32::try_from(delivery.size()).unwrap_or(u32::MAX).clamp(1, MAX_BYTES);
            let room = tokio::select! {
                room = Arc::clone(&hands).acquire_many_owned(size) => room,
                () = stop.cancelled() => break,
            };
            let handler = Handler { timers: Arc::clone(self), stop: ended.clone() };
            let in_hand = self.metrics.take();
            tasks.spawn(async move {
                handler.handle(delivery).await;
                drop((room, in_hand));
            });
        }
        deliveries.cancel().await;
        tasks.close();
        if timeout(DRAIN_LIMIT, tasks.wait()).await.is_err() {
            tracing::warn!(messages = tasks.len(), "not everything in hand was finished: it comes again");
        }
    }
}
