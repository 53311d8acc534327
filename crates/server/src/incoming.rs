//! Connections that come in: a limited number of them. One too many is closed at once.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt as _, future};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tonic::transport::server::Connected;

use crate::tls::{Peer, Transport};

/// Passes on as many connections at a time.
pub(crate) fn limited(
    incoming: impl Stream<Item = io::Result<Transport>>,
    max_connections: usize,
) -> impl Stream<Item = io::Result<Held>> {
    let places = Arc::new(Semaphore::new(max_connections));
    incoming.filter_map(move |stream| {
        let held = stream.map(|stream| {
            let place = Arc::clone(&places).try_acquire_owned();
            if place.is_err() {
                tracing::debug!(max_connections, "a connection too many");
            }
            place.ok().map(|place| Held { stream, _place: place })
        });
        future::ready(held.transpose())
    })
}

/// A connection with its place among the others.
#[derive(Debug)]
pub(crate) struct Held {
    stream: Transport,
    _place: OwnedSemaphorePermit,
}

impl Connected for Held {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.stream.peer()
    }
}

impl AsyncRead for Held {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
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
