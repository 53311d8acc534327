//! Natural batching (group commit): while one batch runs, the next requests gather, and go together when it ends.
//!
//! No timer: an idle batcher runs a single request at once. The queue is bounded, and a full queue refuses at once.
//! Each request gets its own response. This crate knows nothing of what a batch does.

mod metrics;

use std::{future::Future, sync::Arc, time::Instant};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{Instrument as _, Span};

use crate::metrics::Metrics;

/// The bounds of a batcher; each at least 1.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// The most requests in one batch.
    pub max_batch: usize,
    /// The most requests that wait; one more is refused.
    pub queue: usize,
    /// The most batches that run at the same time.
    pub in_flight: usize,
}

/// Why a request got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// As many requests wait as may. Nothing was done; come back later.
    #[error("too many requests are waiting")]
    QueueFull,
    /// The batch of this request died, or the batcher has stopped. What was done is unknown.
    #[error("the batch was abandoned")]
    Abandoned,
}

/// A request on its way, with the place where its response goes.
struct Waiting<Req, Resp> {
    request: Req,
    reply: oneshot::Sender<Resp>,
    since: Instant,
    span: Span,
}

/// Hands requests over to batches. Clones share the queue; when the last one goes, the batcher ends.
#[derive(Debug)]
pub struct Batcher<Req, Resp> {
    queue: mpsc::Sender<Waiting<Req, Resp>>,
}

impl<Req, Resp> Clone for Batcher<Req, Resp> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone() }
    }
}

impl<Req, Resp> Batcher<Req, Resp>
where
    Req: Send + 'static,
    Resp: Send + 'static,
{
    /// Starts a batcher whose batches are carried out by `run`: one response for each request, in their order.
    /// `name` labels its metrics. Must be called within a tokio runtime.
    ///
    /// # Panics
    /// When a limit is 0.
    pub fn start<Run, Fut>(name: &'static str, limits: BatchLimits, run: Run) -> Self
    where
        Run: Fn(Vec<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<Resp>> + Send + 'static,
    {
        assert!(limits.max_batch > 0 && limits.in_flight > 0, "a batcher needs room for a request");
        let (queue, waiting) = mpsc::channel(limits.queue);
        tokio::spawn(dispatch(waiting, limits, Arc::new(run), Metrics::new(name)));
        Self { queue }
    }

    /// Hands `request` over and waits for its response. When the caller stops waiting before the batch starts, the
    /// request is dropped; later than that it is carried out all the same.
    pub async fn submit(&self, request: Req) -> Result<Resp, SubmitError> {
        self.reserve()?.submit(request).await
    }

    /// Waits until nothing takes from the queue any more. As long as there is a clone, which this is, only a defect ends it.
    pub async fn ended(self) {
        self.queue.closed().await;
    }

    /// Takes a place in the queue for a request that is still to be made: it will not be refused then.
    pub fn reserve(&self) -> Result<Place<Req, Resp>, SubmitError> {
        match self.queue.clone().try_reserve_owned() {
            Ok(place) => Ok(Place { place }),
            Err(mpsc::error::TrySendError::Full(_)) => Err(SubmitError::QueueFull),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(SubmitError::Abandoned),
        }
    }
}

/// A place in the queue of a batcher. Given up when dropped.
#[derive(Debug)]
pub struct Place<Req, Resp> {
    place: mpsc::OwnedPermit<Waiting<Req, Resp>>,
}

impl<Req, Resp> Place<Req, Resp> {
    /// As [`Batcher::submit`], but never refused.
    pub async fn submit(self, request: Req) -> Result<Resp, SubmitError> {
        let (reply, response) = oneshot::channel();
        self.place.send(Waiting { request, reply, since: Instant::now(), span: Span::current() });
        response.await.map_err(|_| SubmitError::Abandoned)
    }
}

/// Takes what waits whenever a batch may run. A batch that panics takes nothing with it but its own requests.
async fn dispatch<Req, Resp, Run, Fut>(
    mut waiting: mpsc::Receiver<Waiting<Req, Resp>>,
    limits: BatchLimits,
    run: Arc<Run>,
    metrics: Metrics,
) where
    Req: Send + 'static,
    Resp: Send + 'static,
    Run: Fn(Vec<Req>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Vec<Resp>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(limits.in_flight));
    loop {
        let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
        let mut taken = Vec::with_capacity(limits.max_batch.min(waiting.len().max(1)));
        if waiting.recv_many(&mut taken, limits.max_batch).await == 0 {
            return;
        }
        taken.retain(|item| !item.reply.is_closed());
        let Some(oldest) = taken.first() else { continue };
        metrics.record(taken.len(), oldest.since.elapsed());
        let run = Arc::clone(&run);
        // One trace cannot have many parents: the batch belongs to that of its oldest request.
        let span = oldest.span.clone();
        let batch = async move {
            let (requests, replies): (Vec<_>, Vec<_>) =
                taken.into_iter().map(|item| (item.request, item.reply)).unzip();
            let responses = run(requests).await;
            assert_eq!(responses.len(), replies.len(), "a batch answers each of its requests");
            for (reply, response) in replies.into_iter().zip(responses) {
                // A caller that has gone meanwhile does not hear of it.
                let _ = reply.send(response);
            }
            drop(slot);
        };
        tokio::spawn(batch.instrument(span));
    }
}

#[cfg(test)]
mod tests;
