//! The replicas of another service: calls go to each in turn, and to another when one cannot be reached.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use ::http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::time::{Instant, sleep};
use tonic::{Status, body::Body, transport};
use tower::ServiceExt as _;

use crate::client::{is_timeout, too_late, unreachable};

/// How long a replica that could not be reached is passed over, while there are others.
const PASSED_OVER: Duration = Duration::from_secs(1);
/// The pauses before further tries, once every replica has had its try. A restart behind one address is often shorter.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(200)];

/// The replicas, at least one.
#[derive(Debug)]
pub(crate) struct Replicas {
    all: Vec<Replica>,
    next: AtomicUsize,
}

#[derive(Debug)]
struct Replica {
    channel: transport::Channel,
    passed_over_until: Mutex<Option<Instant>>,
}

impl Replicas {
    pub(crate) fn new(channels: Vec<transport::Channel>) -> Self {
        let replica = |channel| Replica { channel, passed_over_until: Mutex::default() };
        Self { all: channels.into_iter().map(replica).collect(), next: AtomicUsize::new(0) }
    }

    /// Makes a call. It is repeated when its connection fails before an answer begins, which may be after it was carried
    /// out: every call of Holdfast may be repeated.
    pub(crate) async fn call(&self, request: Request<Body>) -> Result<Response<Body>, Status> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let mut pauses = std::iter::repeat_n(Duration::ZERO, self.all.len() - 1).chain(PAUSES);
        loop {
            let replica = self.pick();
            let request = Request::from_parts(parts.clone(), Body::new(Full::new(body.clone())));
            let error = match replica.channel.clone().oneshot(request).await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            if is_timeout(&error) {
                return Err(too_late());
            }
            replica.pass_over();
            let Some(pause) = pauses.next() else { return Err(unreachable(error)) };
            sleep(pause).await;
        }
    }

    /// The next one that is not passed over; if all are, the next one.
    fn pick(&self) -> &Replica {
        let (count, now) = (self.all.len(), Instant::now());
        let first = self.next.fetch_add(1, Ordering::Relaxed);
        let mut in_turn = (0..count).map(|n| &self.all[first.wrapping_add(n) % count]);
        in_turn.find(|replica| !replica.is_passed_over(now)).unwrap_or(&self.all[first % count])
    }
}

impl Replica {
    fn pass_over(&self) {
        *self.passed_over_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + PASSED_OVER);
    }

    fn is_passed_over(&self, now: Instant) -> bool {
        self.passed_over_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| now < until)
    }
}
