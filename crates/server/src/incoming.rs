//! Connections that come in: a limited number of them, each with a place among the others, and a greeting that must come soon.

use std::{
    future::{self, Future as _},
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

use crate::{
    places::{Places, Seat},
    ruled::{Rule, Ruled},
    tls::{Peer, Transport},
};

/// How long a connection may take until it has sent the preface of HTTP/2; from then on it is asked for signs of life.
const GREETING_LIMIT: Duration = Duration::from_secs(5);
/// How long the preface is (RFC 9113, section 3.4).
const GREETING_BYTES: usize = 24;
/// How long a connection must not have sent anything to make place for another one: no call takes that long.
const IDLE: Duration = Duration::from_secs(12);

/// Passes on as many connections at a time.
pub(crate) fn limited(
    incoming: impl Stream<Item = io::Result<Transport>>,
    max_connections: usize,
) -> impl Stream<Item = io::Result<Ruled<Transport, Greeted>>> {
    let places = Places::new(max_connections, IDLE);
    incoming.filter_map(move |stream| {
        let held = stream.map(|stream| {
            let seat = places.enter(stream.address());
            if seat.is_none() {
                tracing::debug!(max_connections, "a connection too many");
            }
            seat.map(|seat| Ruled { stream, rule: Greeted::new(seat) })
        });
        future::ready(held.transpose())
    })
}

/// That the preface comes soon, over a connection that has a place among the others.
#[derive(Debug)]
pub(crate) struct Greeted {
    seat: Seat,
    greeting: Option<Greeting>,
}

/// The preface is still to come, so many bytes of it.
#[derive(Debug)]
struct Greeting {
    bytes: usize,
    end: Pin<Box<Sleep>>,
}

impl Greeted {
    fn new(seat: Seat) -> Self {
        let greeting = Greeting { bytes: GREETING_BYTES, end: Box::pin(sleep(GREETING_LIMIT)) };
        Self { seat, greeting: Some(greeting) }
    }

    /// Notes that so much was read.
    fn note(&mut self, length: usize) {
        self.seat.used();
        if let Some(greeting) = &mut self.greeting {
            greeting.bytes = greeting.bytes.saturating_sub(length);
            if greeting.bytes == 0 {
                self.greeting = None;
            }
        }
    }
}

impl Connected for Ruled<Transport, Greeted> {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer { line: Some(self.rule.seat.line()), ..self.stream.peer() }
    }
}

impl Rule for Greeted {
    fn read(&mut self, cx: &mut Context<'_>, read: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if self.seat.poll_lost(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        match (&read, &mut self.greeting) {
            (Poll::Ready(read), _) => self.note(read.as_ref().copied().unwrap_or_default()),
            (Poll::Pending, Some(greeting)) => {
                ready!(greeting.end.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            (Poll::Pending, None) => {}
        }
        read
    }
}
