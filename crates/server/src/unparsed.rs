//! Requests over HTTP/1.1 that are no HTTP: hyper answers them by itself, with a status and nothing else. Here that answer gets what
//! all others have: its count, and an error in JSON.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::http::StatusCode;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::Code;

use crate::refused;

/// The answers that hyper has of its own, as they begin and end. No answer of ours is without a body.
const BEGIN: &[u8] = b"HTTP/1.";
const EMPTY: &[u8] = b"content-length: 0\r\n";

/// A connection.
#[derive(Debug)]
pub(crate) struct Unparsed<S> {
    stream: S,
    /// What is to be written in place of hyper's answer.
    instead: Vec<u8>,
}

impl<S> Unparsed<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, instead: Vec::new() }
    }
}

/// The status of an answer that is hyper's own.
fn status(bytes: &[u8]) -> Option<StatusCode> {
    let status = bytes.strip_prefix(BEGIN)?.get(2..5).and_then(|code| StatusCode::from_bytes(code).ok())?;
    let own =
        [StatusCode::BAD_REQUEST, StatusCode::URI_TOO_LONG, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE];
    let is_empty = || bytes.windows(EMPTY.len()).any(|part| part.eq_ignore_ascii_case(EMPTY));
    (own.contains(&status) && bytes.ends_with(b"\r\n\r\n") && is_empty()).then_some(status)
}

/// The same with all that belongs to it.
fn complete(status: StatusCode) -> Vec<u8> {
    let message = match status {
        StatusCode::URI_TOO_LONG => "the path is too long",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "the head of the request is too large",
        _ => "this is no HTTP request",
    };
    let name = api::code_name(Code::InvalidArgument);
    let error = json!({ "code": status.as_u16(), "status": name, "message": message, "details": [] });
    let body = error.to_string();
    let reason = status.canonical_reason().unwrap_or_default();
    format!(
        "HTTP/1.1 {} {reason}\r\ncontent-type: application/json\r\nx-content-type-options: nosniff\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        status.as_u16(),
        body.len()
    )
    .into_bytes()
}

impl<S: AsyncWrite + Unpin> Unparsed<S> {
    /// Writes what is to be written instead.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.instead.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.instead))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.instead.drain(..written);
        }
        Poll::Ready(Ok(()))
    }

    /// Takes an answer of hyper's own in hand.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let Some(status) = status(bytes) else { return false };
        refused::over_http(status);
        self.instead = complete(status);
        true
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unparsed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unparsed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(cx))?;
        if self.take(bytes) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_instead(cx))?;
        if let [only] = parts
            && self.take(only)
        {
            return Poll::Ready(Ok(only.len()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_instead(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_answers_that_say_nothing_are_hypers_own() {
        let own = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\ndate: x\r\n\r\n";
        assert_eq!(status(own).map(|status| status.as_u16()), Some(431));
        for other in [
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 10\r\n\r\n",
            "HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n{}",
            "",
        ] {
            assert_eq!(status(other.as_bytes()), None, "{other}");
        }
        assert!(status(&complete(StatusCode::BAD_REQUEST)).is_none());
    }
}
