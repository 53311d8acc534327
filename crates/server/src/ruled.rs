//! Connections under a rule: who does not keep it loses the connection. Which rules there are stands in modules of their own; here is
//! what they have in common.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is asked of the other side of a connection. Each step passes on what it came to, or an error, which ends the connection.
pub(crate) trait Rule: Unpin {
    /// A read came to this: so many bytes.
    fn read(&mut self, _: &mut Context<'_>, read: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        read
    }

    /// A write came to this: so many bytes. A flush or a shutdown are writes of none.
    fn written(&mut self, _: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        written
    }
}

/// A connection with its rule.
#[derive(Debug)]
pub(crate) struct Ruled<S, R> {
    pub(crate) stream: S,
    pub(crate) rule: R,
}

impl<S: AsyncRead + Unpin, R: Rule> AsyncRead for Ruled<S, R> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, rule } = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(stream).poll_read(cx, buffer);
        rule.read(cx, read.map_ok(|()| buffer.filled().len() - before)).map_ok(drop)
    }
}

impl<S: AsyncWrite + Unpin, R: Rule> AsyncWrite for Ruled<S, R> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Self { stream, rule } = self.get_mut();
        let written = Pin::new(stream).poll_write(cx, bytes);
        rule.written(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, rule } = self.get_mut();
        let written = Pin::new(stream).poll_write_vectored(cx, parts);
        rule.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, rule } = self.get_mut();
        let flushed = Pin::new(stream).poll_flush(cx);
        rule.written(cx, flushed.map_ok(|()| 0)).map_ok(drop)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, rule } = self.get_mut();
        let ended = Pin::new(stream).poll_shutdown(cx);
        rule.written(cx, ended.map_ok(|()| 0)).map_ok(drop)
    }
}
