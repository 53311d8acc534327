//! The code of a call: in the headers of its response if that is all there is, else in the trailers behind the body.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::http::{HeaderMap, Response};
use axum::body::{Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use tonic::Code;

/// A call that is told its code. It ends when it is dropped: with its response, or before it.
pub(crate) trait Coded {
    /// The code is this.
    fn coded(&mut self, code: Code);
}

/// Watches a response for `call`, to its end.
pub(crate) fn watched<B, C: Coded>(mut call: C, response: Response<B>) -> Response<Watched<B, C>> {
    let call = match code(response.headers()) {
        Some(code) => {
            call.coded(code);
            None // an error: headers are all there is
        }
        None => Some(call),
    };
    response.map(|body| Watched { body, call })
}

/// The code of a call, if these headers or trailers say it.
pub(crate) fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

/// A response's body, in whose trailers its code stands.
pub(crate) struct Watched<B, C> {
    body: B,
    call: Option<C>,
}

impl<B, C> HttpBody for Watched<B, C>
where
    B: HttpBody<Data = Bytes> + Unpin,
    C: Coded + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let trailers = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref());
        if let Some(code) = trailers.and_then(code)
            && let Some(mut call) = self.call.take()
        {
            call.coded(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
