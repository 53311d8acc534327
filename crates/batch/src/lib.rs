//! Natural batching (group commit): while one batch runs, the next requests gather, and go together when it ends.
//!
//! No timer: an idle batcher runs a single request at once. The queue is bounded, and a full queue refuses at once; so
//! does one in which a request would wait too long, as far as the time that batches took of late tells.
//! Each request gets its own response. This crate knows nothing of what a batch does.

mod metrics;
mod pace;
mod traces;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, Semaphore, mpsc, oneshot},
    time::sleep,
};
use tracing::{Instrument as _, Span};

use crate::{metrics::Metrics, pace::Pace};

/// Who waits for a batch that runs, because few wait, does not wait for longer than this.
const SLOW: Duration = Duration::from_millis(100);

/// The bounds of a batcher; each at least 1.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// The most that the requests of one batch weigh together; one that weighs more goes alone. Without a weight of its own a
    /// request weighs 1.
    pub max_batch: usize,
    /// The most requests that wait; one more is refused.
    pub queue: usize,
    /// The most batches that run at the same time.
    pub in_flight: usize,
    /// The weight that must wait for a batch to begin beside another one. Many small batches cost more than few large ones, and
    /// a batch that runs already will soon make room for all that wait.
    pub beside: usize,
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
    weight: Weight,
    since: Instant,
    deadline: Option<Instant>,
    span: Span,
}

/// What a request adds to the weight of all that wait, for as long as it does.
#[derive(Debug)]
struct Weight {
    weight: usize,
    waiting: Arc<AtomicUsize>,
}

impl Weight {
    fn add(weight: usize, waiting: &Arc<AtomicUsize>) -> Self {
        waiting.fetch_add(weight, Ordering::Relaxed);
        Self { weight, waiting: Arc::clone(waiting) }
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.weight, Ordering::Relaxed);
    }
}

/// Hands requests over to batches. Clones share the queue; when the last one goes, the batcher ends.
#[derive(Debug)]
pub struct Batcher<Req, Resp> {
    queue: mpsc::Sender<Waiting<Req, Resp>>,
    waiting: Arc<AtomicUsize>,
    enough: Arc<Notify>,
    limits: BatchLimits,
    pace: Arc<Pace>,
    metrics: Arc<Metrics>,
}

impl<Req, Resp> Clone for Batcher<Req, Resp> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
            waiting: Arc::clone(&self.waiting),
            enough: Arc::clone(&self.enough),
            limits: self.limits,
            pace: Arc::clone(&self.pace),
            metrics: Arc::clone(&self.metrics),
        }
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
        let (queue, received) = mpsc::channel(limits.queue);
        let (waiting, enough, pace) = (Arc::default(), Arc::default(), Arc::new(Pace::default()));
        let metrics = Arc::new(Metrics::new(name));
        // Whoever only watches the queue does not keep it.
        let watched = queue.downgrade();
        metrics.watch(
            move || watched.upgrade().map(|queue| queue.max_capacity() - queue.capacity()),
            limits.queue,
        );
        let dispatcher = Dispatcher {
            limits,
            waiting: Arc::clone(&waiting),
            enough: Arc::clone(&enough),
            pace: Arc::clone(&pace),
            metrics: Arc::clone(&metrics),
            name,
        };
        tokio::spawn(dispatcher.run(received, Arc::new(run)));
        Self { queue, waiting, enough, limits, pace, metrics }
    }

    /// Hands `request` over and waits for its response. When the caller stops waiting before the batch starts, the
    /// request is dropped; later than that it is carried out all the same.
    pub async fn submit(&self, request: Req) -> Result<Resp, SubmitError> {
        self.submit_by(request, 1, None).await
    }

    /// Waits until nothing takes from the queue any more. As long as there is a clone, which this is, only a defect ends it.
    pub async fn ended(self) {
        self.queue.closed().await;
    }

    /// As [`submit`](Self::submit), for a request of this weight and a response that nobody wants after `deadline`: refused at
    /// once if it is not to be expected in time, and when its batch starts too late.
    pub async fn submit_by(
        &self,
        request: Req,
        weight: usize,
        deadline: Option<Instant>,
    ) -> Result<Resp, SubmitError> {
        let ahead = self.waiting.load(Ordering::Relaxed) / self.limits.max_batch;
        // Whoever finds no full batch ahead goes with the next one: so there is always one that tells the pace.
        if ahead > 0 {
            let wait = self.pace.time_of(ahead, self.limits.in_flight);
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let too_late = left.is_some_and(|left| wait + self.pace.time_of(1, 1) > left);
            if wait > self.limits.max_wait || too_late {
                return Err(self.refuse());
            }
        }
        let response = match self.queue.try_reserve() {
            Ok(place) => {
                let (reply, response) = oneshot::channel();
                let weight = Weight::add(weight, &self.waiting);
                let (since, span) = (Instant::now(), Span::current());
                place.send(Waiting { request, reply, weight, since, deadline, span });
                if self.waiting.load(Ordering::Relaxed) >= self.limits.beside {
                    self.enough.notify_one();
                }
                response
            }
            Err(mpsc::error::TrySendError::Full(())) => return Err(self.refuse()),
            Err(mpsc::error::TrySendError::Closed(())) => return Err(SubmitError::Abandoned),
        };
        response.await.unwrap_or(Err(SubmitError::Abandoned))
    }

    fn refuse(&self) -> SubmitError {
        self.metrics.refused(1);
        SubmitError::QueueFull
    }
}

/// Takes what waits whenever a batch may run.
struct Dispatcher {
    limits: BatchLimits,
    waiting: Arc<AtomicUsize>,
    enough: Arc<Notify>,
    pace: Arc<Pace>,
    metrics: Arc<Metrics>,
    name: &'static str,
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
        let mut next = None;
        loop {
            let slot = Arc::clone(&slots).acquire_owned().await.expect("the semaphore is never closed");
            self.worth_it(&slots).await;
            let taken = take(&mut waiting, &mut next, self.limits.max_batch).await;
            if taken.is_empty() {
                return;
            }
            let taken = still_wanted(taken, &self.metrics);
            let Some(oldest) = taken.first() else { continue };
            self.metrics.started(taken.len(), oldest.since.elapsed());
            let (run, pace, metrics) = (Arc::clone(&run), Arc::clone(&self.pace), Arc::clone(&self.metrics));
            let span = traces::span(self.name, oldest.span.clone(), || taken.iter().map(|item| &item.span));
            // From here on they do not wait any more.
            let (requests, replies): (Vec<_>, Vec<_>) =
                taken.into_iter().map(|item| (item.request, item.reply)).unzip();
            let batch = async move {
                let start = Instant::now();
                let responses = run(requests).await;
                let time = start.elapsed();
                pace.took(time);
                metrics.took(time);
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

impl Dispatcher {
    /// Waits until no batch runs, or enough waits for one beside those that do, or those have run for too long to wait for.
    async fn worth_it(&self, slots: &Semaphore) {
        let others = self.limits.in_flight - 1;
        let alone = async {
            // All slots but the one that is taken: no batch runs.
            let _ = slots.acquire_many(u32::try_from(others).unwrap_or(u32::MAX)).await;
        };
        let enough = async {
            while self.waiting.load(Ordering::Relaxed) < self.limits.beside {
                self.enough.notified().await;
            }
        };
        tokio::select! {
            () = alone => {}
            () = enough => {}
            // What runs will not make room soon.
            () = sleep(SLOW) => {}
        }
    }
}

/// Waits for a request, and takes those that wait behind it, up to this weight. The first that does not fit is the `next` one.
/// Nothing: the last batcher has gone.
async fn take<Req, Resp>(
    waiting: &mut mpsc::Receiver<Waiting<Req, Resp>>,
    next: &mut Option<Waiting<Req, Resp>>,
    max_weight: usize,
) -> Vec<Waiting<Req, Resp>> {
    let first = match next.take() {
        Some(first) => Some(first),
        None => waiting.recv().await,
    };
    let mut taken = Vec::with_capacity((waiting.len() + 1).min(max_weight));
    let mut weight = first.as_ref().map_or(0, |first| first.weight.weight);
    taken.extend(first);
    while let Ok(item) = waiting.try_recv() {
        weight += item.weight.weight;
        if weight > max_weight {
            *next = Some(item);
            break;
        }
        taken.push(item);
    }
    taken
}

/// What somebody still waits for. The others are refused: nothing is done for them.
fn still_wanted<Req, Resp>(taken: Vec<Waiting<Req, Resp>>, metrics: &Metrics) -> Vec<Waiting<Req, Resp>> {
    let now = Instant::now();
    let (wanted, late): (Vec<_>, Vec<_>) = taken
        .into_iter()
        .filter(|item| !item.reply.is_closed())
        .partition(|item| item.deadline.is_none_or(|deadline| now < deadline));
    if !late.is_empty() {
        metrics.refused(late.len());
    }
    for item in late {
        let _ = item.reply.send(Err(SubmitError::QueueFull));
    }
    wanted
}

#[cfg(test)]
mod tests;
