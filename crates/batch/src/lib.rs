//! Natural batching (group commit): while one batch runs, the next requests gather, and go together when it ends.
//!
//! No timer: an idle batcher runs a single request at once. The queue is bounded, and a full queue refuses at once; so
//! does one in which a request would wait too long, as far as the time that batches took of late tells.
//! Each request gets its own response. This crate knows nothing of what a batch does.

mod metrics;
mod pace;

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::{Instrument as _, Span};

use crate::{metrics::Metrics, pace::Pace};

/// The bounds of a batcher; each at least 1.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// The most requests in one batch.
    pub max_batch: usize,
    /// The most requests that wait; one more is refused.
    pub queue: usize,
    /// The most batches that run at the same time.
    pub in_flight: usize,
    /// The longest that a request should wait for its batch; one that would wait longer is refused at once.
    pub max_wait: Duration,
}

/// Why a request got no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// As many requests wait as may, or the request's turn would come too late. Nothing was done; come back later.
    #[error("too many requests are waiting")]
    QueueFull,
    /// The batch of this request died, or the batcher has stopped. What was done is unknown.
    #[error("the batch was abandoned")]
    Abandoned,
}

/// A request on its way, with the place where its response goes.
struct Waiting<Req, Resp> {
    request: Req,
    reply: oneshot::Sender<Result<Resp, SubmitError>>,
    since: Instant,
    deadline: Option<Instant>,
    span: Span,
}

/// Hands requests over to batches. Clones share the queue; when the last one goes, the batcher ends.
#[derive(Debug)]
pub struct Batcher<Req, Resp> {
    queue: mpsc::Sender<Waiting<Req, Resp>>,
    limits: BatchLimits,
    pace: Arc<Pace>,
}

impl<Req, Resp> Clone for Batcher<Req, Resp> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), limits: self.limits, pace: Arc::clone(&self.pace) }
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
        let pace = Arc::new(Pace::default());
        let dispatcher = Dispatcher { limits, pace: Arc::clone(&pace), metrics: Metrics::new(name) };
        tokio::spawn(dispatcher.run(waiting, Arc::new(run)));
        Self { queue, limits, pace }
    }

    /// Hands `request` over and waits for its response. When the caller stops waiting before the batch starts, the
    /// request is dropped; later than that it is carried out all the same.
    pub async fn submit(&self, request: Req) -> Result<Resp, SubmitError> {
        self.submit_by(request, None).await
    }

    /// Waits until nothing takes from the queue any more. As long as there is a clone, which this is, only a defect ends it.
    pub async fn ended(self) {
        self.queue.closed().await;
    }

    /// As [`submit`](Self::submit), for a response that nobody wants after `deadline`: refused at once if it is not to be
    /// expected in time, and when its batch starts too late.
    pub async fn submit_by(&self, request: Req, deadline: Option<Instant>) -> Result<Resp, SubmitError> {
        self.reserve_by(deadline)?.hand_over(request, deadline).await
    }

    /// Takes a place in the queue for a request that is still to be made: it will not be refused then. Refused if its
    /// response is not to be expected by `deadline`.
    pub fn reserve_by(&self, deadline: Option<Instant>) -> Result<Place<Req, Resp>, SubmitError> {
        let ahead = (self.queue.max_capacity() - self.queue.capacity()) / self.limits.max_batch;
        // Whoever finds no full batch ahead goes with the next one: so there is always one that tells the pace.
        if ahead > 0 {
            let wait = self.pace.time_of(ahead, self.limits.in_flight);
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let too_late = left.is_some_and(|left| wait + self.pace.time_of(1, 1) > left);
            if wait > self.limits.max_wait || too_late {
                return Err(SubmitError::QueueFull);
            }
        }
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
        self.hand_over(request, None).await
    }

    async fn hand_over(self, request: Req, deadline: Option<Instant>) -> Result<Resp, SubmitError> {
        let (reply, response) = oneshot::channel();
        let (since, span) = (Instant::now(), Span::current());
        self.place.send(Waiting { request, reply, since, deadline, span });
        response.await.unwrap_or(Err(SubmitError::Abandoned))
    }
}

/// Takes what waits whenever a batch may run.
struct Dispatcher {
    limits: BatchLimits,
    pace: Arc<Pace>,
    metrics: Metrics,
}

impl Dispatcher {
    /// Until the last batcher has gone. A batch that panics takes nothing with it but its own requests.
    async fn run<Req, Resp, Run, Fut>(self, mut waiting: mpsc::Receiver<Waiting<Req, Resp>>, run: Arc<Run>)
    where
        Req: Send + 'static,
        Resp: Send + 'static,
        Run: Fn(Vec<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Vec<Resp>> + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(self.limits.in_flight));
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            let mut taken = Vec::with_capacity(self.limits.max_batch.min(waiting.len().max(1)));
            if waiting.recv_many(&mut taken, self.limits.max_batch).await == 0 {
                return;
            }
            let taken = still_wanted(taken);
            let Some(oldest) = taken.first() else { continue };
            self.metrics.record(taken.len(), oldest.since.elapsed());
            let (run, pace) = (Arc::clone(&run), Arc::clone(&self.pace));
            // One trace cannot have many parents: the batch belongs to that of its oldest request.
            let span = oldest.span.clone();
            let batch = async move {
                let start = Instant::now();
                let (requests, replies): (Vec<_>, Vec<_>) =
                    taken.into_iter().map(|item| (item.request, item.reply)).unzip();
                let responses = run(requests).await;
                pace.took(start.elapsed());
                assert_eq!(responses.len(), replies.len(), "a batch answers each of its requests");
                for (reply, response) in replies.into_iter().zip(responses) {
                    // A caller that has gone meanwhile does not hear of it.
                    let _ = reply.send(Ok(response));
                }
                drop(slot);
            };
            tokio::spawn(batch.instrument(span));
        }
    }
}

/// What somebody still waits for. The others are refused: nothing is done for them.
fn still_wanted<Req, Resp>(taken: Vec<Waiting<Req, Resp>>) -> Vec<Waiting<Req, Resp>> {
    let now = Instant::now();
    let (wanted, late): (Vec<_>, Vec<_>) = taken
        .into_iter()
        .filter(|item| !item.reply.is_closed())
        .partition(|item| item.deadline.is_none_or(|deadline| now < deadline));
    for item in late {
        let _ = item.reply.send(Err(SubmitError::QueueFull));
    }
    wanted
}

#[cfg(test)]
mod tests;
