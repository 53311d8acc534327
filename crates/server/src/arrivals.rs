//! Requests on their way: each is read whole before its call is let in, so that who sends slowly takes no place of a call.
//!
//! What has come with the head is read at once. What has not has a limited room together with all others, in which the oldest, of the
//! address that has the most, makes place for the newest; and it must go on coming. Customers, services and health have rooms of
//! their own: none of them puts out another's.

use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use tokio::time::timeout;
use tonic::Status;

use crate::{Address, admission::Kind, room::Room};

/// Requests that are awaited at a time.
const ENTRIES: usize = 1_024;
/// What they have sent so far, together.
const ROOM_BYTES: usize = 20 << 20;
/// The same of calls between services, which are few, and large.
const INTERNAL_ENTRIES: usize = 128;
const INTERNAL_ROOM_BYTES: usize = 8 << 20;
/// The same of health: all of them together in 1 MiB.
const HEALTH_ENTRIES: usize = 1_024;
/// The largest request with its frame. Services have limits of their own below it.
const MAX_REQUEST_BYTES: usize = (4 << 20) + 5;
/// The same of one that asks for health: the name of a service.
const MAX_HEALTH_BYTES: usize = 1 << 10;
/// How long nothing of a request may come.
const SILENCE: Duration = Duration::from_secs(3);

/// The requests on their way. Clones share their room.
#[derive(Clone, Debug)]
pub struct Arrivals(Room);

/// The requests on their way to services of gRPC, by who sends them.
#[derive(Debug)]
pub(crate) struct Rooms {
    customers: Arrivals,
    internal: Arrivals,
    health: Arrivals,
}

impl Default for Rooms {
    fn default() -> Self {
        Self {
            customers: Arrivals::default(),
            internal: Arrivals::new(INTERNAL_ENTRIES, INTERNAL_ROOM_BYTES),
            health: Arrivals::new(HEALTH_ENTRIES, HEALTH_ENTRIES * MAX_HEALTH_BYTES),
        }
    }
}

impl Rooms {
    /// Where a request for a call of this kind is awaited, and how long it may be.
    pub(crate) fn of(&self, kind: Kind) -> (&Arrivals, usize) {
        match kind {
            Kind::Customer | Kind::Open => (&self.customers, MAX_REQUEST_BYTES),
            Kind::Internal => (&self.internal, MAX_REQUEST_BYTES),
            Kind::Health => (&self.health, MAX_HEALTH_BYTES),
        }
    }
}

/// Why a request did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// Nothing of it came for 3 s.
    #[error("nothing of the request came for {} s", SILENCE.as_secs())]
    Silent,
    /// Others that came later needed its room.
    #[error("too many requests are on their way")]
    PutOut,
    /// It is larger than this, in bytes.
    #[error("the request is larger than {0} bytes")]
    TooLarge(usize),
    /// Its sender gave it up, or does not speak HTTP.
    #[error("the request broke off")]
    BrokeOff,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self::new(ENTRIES, ROOM_BYTES)
    }
}

impl Arrivals {
    /// Of so many, with so many bytes together.
    #[must_use]
    pub fn new(entries: usize, bytes: usize) -> Self {
        Self(Room::new(entries, bytes))
    }

    /// All of a body, of so many bytes at most. `from` is where it comes from, asked for only if that matters.
    ///
    /// # Errors
    /// It does not arrive.
    pub async fn whole<B, F>(&self, mut body: B, limit: usize, from: F) -> Result<Bytes, Late>
    where
        B: HttpBody<Data = Bytes> + Unpin,
        F: FnOnce() -> Option<Address>,
    {
        let mut parts = Parts { limit, ..Parts::default() };
        while !body.is_end_stream() {
            match body.frame().now_or_never() {
                Some(Some(frame)) => _ = parts.add(frame)?,
                Some(None) => break,
                None => return self.rest(body, parts, from()).await,
            }
        }
        Ok(parts.together())
    }

    /// What has not come yet.
    async fn rest<B>(&self, mut body: B, mut parts: Parts, from: Option<Address>) -> Result<Bytes, Late>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let place = from.map_or_else(|| self.0.enter(), |address| self.0.enter_from(address));
        let mut taken = place.take(parts.length);
        while taken {
            let frame = tokio::select! {
                biased;
                () = place.put_out() => break,
                frame = timeout(SILENCE, body.frame()) => frame.map_err(|_| Late::Silent)?,
            };
            let Some(frame) = frame else { return Ok(parts.together()) };
            taken = place.take(parts.add(frame)?);
        }
        Err(Late::PutOut)
    }

    /// How many are awaited, and how much they have sent.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> (usize, usize) {
        self.0.taken()
    }
}

impl From<Late> for Status {
    fn from(late: Late) -> Self {
        match late {
            Late::Silent => Self::deadline_exceeded(late.to_string()),
            Late::PutOut => api::overloaded(),
            Late::TooLarge(_) => Self::out_of_range(late.to_string()),
            Late::BrokeOff => Self::cancelled(late.to_string()),
        }
    }
}

/// What has come.
#[derive(Debug, Default)]
struct Parts {
    limit: usize,
    length: usize,
    first: Bytes,
    /// Mostly there are none.
    more: Vec<Bytes>,
}

impl Parts {
    /// Adds a frame; answers how long it is.
    fn add<E>(&mut self, frame: Result<http_body::Frame<Bytes>, E>) -> Result<usize, Late> {
        let frame = frame.map_err(|_| Late::BrokeOff)?;
        let Ok(data) = frame.into_data() else { return Ok(0) };
        let length = data.len();
        self.length += length;
        if self.length > self.limit {
            return Err(Late::TooLarge(self.limit));
        }
        if self.first.is_empty() {
            self.first = data;
        } else if length > 0 {
            self.more.push(data);
        }
        Ok(length)
    }

    /// One part alone is not copied.
    fn together(self) -> Bytes {
        if self.more.is_empty() {
            return self.first;
        }
        let mut whole = Vec::with_capacity(self.length);
        whole.extend_from_slice(&self.first);
        self.more.iter().for_each(|part| whole.extend_from_slice(part));
        whole.into()
    }
}

#[cfg(test)]
mod tests {
    use std::{convert::Infallible, pin::pin};

    use axum::body::Body;
    use futures::{StreamExt as _, channel::mpsc, poll, stream};
    use tokio::time::Instant;

    use super::*;

    type Sender = mpsc::UnboundedSender<Result<&'static [u8], Infallible>>;

    /// A body that comes as it is sent.
    fn slow() -> (Sender, Body) {
        let (sender, parts) = mpsc::unbounded();
        (sender, Body::from_stream(parts))
    }

    fn nowhere() -> Option<Address> {
        None
    }

    #[tokio::test]
    async fn what_is_there_is_read_at_once_without_a_place() {
        let arrivals = Arrivals(Room::new(0, 0));
        let body = Body::from_stream(stream::iter(["ab", "", "cd"].map(Ok::<_, Infallible>)));
        let whole = pin!(arrivals.whole(body, 4, nowhere));
        assert_eq!(poll!(whole), std::task::Poll::Ready(Ok(Bytes::from_static(b"abcd"))));
        assert_eq!(arrivals.whole(Body::from("abcde"), 4, nowhere).await, Err(Late::TooLarge(4)));
        assert_eq!(arrivals.whole(Body::empty(), 0, nowhere).await, Ok(Bytes::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_go_on_coming_is_given_up() {
        let (arrivals, start) = (Arrivals::default(), Instant::now());
        let drips = stream::unfold(0, async |n: u8| {
            tokio::time::sleep(SILENCE * 9 / 10).await;
            (n < 5).then_some((Ok::<_, Infallible>("x"), n + 1))
        });
        assert_eq!(
            arrivals.whole(Body::from_stream(drips.boxed()), 5, nowhere).await,
            Ok(Bytes::from_static(b"xxxxx"))
        );
        let (_sender, body) = slow();
        let before = start.elapsed();
        assert_eq!(arrivals.whole(body, 5, nowhere).await, Err(Late::Silent));
        assert_eq!(start.elapsed(), before + SILENCE);
        assert_eq!(arrivals.taken(), (0, 0));
    }

    #[tokio::test]
    async fn the_slowest_makes_room_for_the_newest() {
        let arrivals = Arrivals(Room::new(2, 10));
        let start = |text: &'static [u8]| {
            let (sender, body) = slow();
            sender.unbounded_send(Ok(text)).unwrap();
            let arrivals = arrivals.clone();
            (sender, tokio::spawn(async move { arrivals.whole(body, 100, nowhere).await }))
        };
        let (_hog, first) = start(b"12345678");
        while arrivals.taken() != (1, 8) {
            tokio::task::yield_now().await;
        }
        let (quick, second) = start(b"abc");
        assert_eq!(first.await.unwrap(), Err(Late::PutOut));
        drop(quick);
        assert_eq!(second.await.unwrap(), Ok(Bytes::from_static(b"abc")));
        assert_eq!(arrivals.taken(), (0, 0));
    }
}
