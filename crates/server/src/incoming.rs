//! Connections that come in: a limited number of them, each with a place among the others, and a greeting that must come soon.

use std::{
    future::{self, Future as _},
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::{Stream, StreamExt as _};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tonic::transport::server::Connected;

use crate::{
    places::{Places, Seat},
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
) -> impl Stream<Item = io::Result<Held>> {
    let places = Places::new(max_connections, IDLE);
    incoming.filter_map(move |stream| {
        let held = stream.map(|stream| {
            let seat = places.enter(stream.address());
            if seat.is_none() {
                tracing::debug!(max_connections, "a connection too many");
            }
            seat.map(|seat| Held::new(stream, seat))
        });
        future::ready(held.transpose())
    })
}

/// A connection with its place among the others.
#[derive(Debug)]
pub(crate) struct Held {
    stream: Transport,
    seat: Seat,
    greeting: Option<Greeting>,
}

/// The preface is still to come, so many bytes of it.
#[derive(Debug)]
struct Greeting {
    bytes: usize,
    end: Pin<Box<Sleep>>,
}

impl Held {
    fn new(stream: Transport, seat: Seat) -> Self {
        let greeting = Greeting { bytes: GREETING_BYTES, end: Box::pin(sleep(GREETING_LIMIT)) };
        Self { stream, seat, greeting: Some(greeting) }
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

impl Connected for Held {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer { line: Some(self.seat.line()), ..self.stream.peer() }
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.seat.poll_lost(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            self.note(buffer.filled().len() - before);
        } else if let Some(greeting) = &mut self.greeting {
            ready!(greeting.end.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
