//! The replicas of another service: calls go to each in turn, and to another when one cannot be reached.

use std::{
    iter,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep},
};
use tonic::{Status, body::Body};

use crate::{
    client::{is_timeout, too_late, unknown, unreachable},
    replica::Replica,
};

/// The pauses before further tries, once every replica has had its try. A restart behind one address is often shorter.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// The replicas that are known of.
#[derive(Debug)]
pub(crate) struct Replicas {
    /// None until they were looked up for the first time. Whoever picks one holds its lock for that long only.
    known: watch::Sender<Option<Vec<Arc<Replica>>>>,
    next: AtomicUsize,
    /// Told of each call that reached none, for the names to be looked up anew.
    missed: Arc<Notify>,
}

impl Replicas {
    pub(crate) fn new(missed: Arc<Notify>) -> Self {
        Self { known: watch::Sender::new(None), next: AtomicUsize::new(0), missed }
    }

    /// Those that were known until now.
    pub(crate) fn known(&self) -> Vec<Arc<Replica>> {
        self.known.borrow().clone().unwrap_or_default()
    }

    /// From now on these, and no others.
    pub(crate) fn replace(&self, replicas: Vec<Arc<Replica>>) {
        self.known.send_replace(Some(replicas));
    }

    /// Makes a call. It is repeated when its connection fails before an answer begins, which may be after it was carried
    /// out: every call of Holdfast may be repeated.
    pub(crate) async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let others = self.count().await.saturating_sub(1);
        let mut pauses = iter::repeat_n(Duration::ZERO, others).chain(PAUSES);
        loop {
            let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
            let status = match self.pick() {
                Some(replica) => match replica.call(request).await {
                    Ok(response) => return Ok(response),
                    Err(error) if is_timeout(&error) => return Err(too_late()),
                    Err(error) => {
                        replica.pass_over(&error);
                        unreachable(error)
                    }
                },
                None => unknown(),
            };
            self.missed.notify_one();
            let Some(pause) = pauses.next() else { return Err(status) };
            sleep(pause).await;
        }
    }

    /// How many there are, once that is known.
    async fn count(&self) -> usize {
        let known = self.known.borrow().as_ref().map(Vec::len);
        match known {
            Some(count) => count,
            None => self.first_count().await,
        }
    }

    async fn first_count(&self) -> usize {
        let mut known = self.known.subscribe();
        let first = known.wait_for(Option::is_some).await;
        first.ok().and_then(|known| known.as_ref().map(Vec::len)).unwrap_or_default()
    }

    /// The next one that is not passed over; if all are, the next one.
    fn pick(&self) -> Option<Arc<Replica>> {
        let known = self.known.borrow();
        let all = known.as_deref().filter(|all| !all.is_empty())?;
        let (count, now) = (all.len(), Instant::now());
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..count).map(|n| &all[first.wrapping_add(n) % count]);
        let picked = in_turn.find(|replica| !replica.is_passed_over(now)).unwrap_or(&all[first % count]);
        Some(Arc::clone(picked))
    }
}
