//! Large answers on their way: they have a limited room together, in which the oldest makes place for the newest. Who reads an
//! answer slowly keeps it from nobody else, and no more than so much memory.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::{Body, Bytes, HttpBody};
use http_body::{Frame, SizeHint};
use server::{Place, Room};
use tokio::task::AbortHandle;

/// The longest answer that needs no room: the connections bound how many of them there are.
pub(crate) const SMALL: usize = 16 << 10;
/// What is given to a connection at a time: a multiple of three, so that in base64 (gRPC-Web) nothing but the last of it is padded.
const CHUNK: usize = 15 << 10;
/// Large answers on their way at a time.
const ANSWERS: usize = 1_024;
/// What they have together, whether sent or not.
const ROOM_BYTES: usize = 16 << 20;

/// The room for them.
#[derive(Clone, Debug)]
pub(crate) struct Answers(Room);

impl Default for Answers {
    fn default() -> Self {
        Self(Room::new(ANSWERS, ROOM_BYTES))
    }
}

impl Answers {
    /// The body of an answer; none, if it is larger than all the room.
    pub(crate) fn body(&self, text: Vec<u8>) -> Option<Body> {
        if text.len() <= SMALL {
            return Some(Body::from(text));
        }
        let place = Arc::new(self.0.enter());
        place.take(text.len()).then(|| Body::new(Unsent::new(text, place)))
    }
}

/// The body of a large answer. Its text is gone once it was put out, though nobody reads the body.
#[derive(Debug)]
struct Unsent {
    text: Arc<Mutex<Vec<u8>>>,
    length: usize,
    sent: usize,
    place: Arc<Place>,
    watch: AbortHandle,
}

impl Unsent {
    fn new(text: Vec<u8>, place: Arc<Place>) -> Self {
        let (length, text) = (text.len(), Arc::new(Mutex::new(text)));
        let watch = {
            let (text, place) = (Arc::clone(&text), Arc::clone(&place));
            tokio::spawn(async move {
                place.put_out().await;
                *lock(&text) = Vec::new();
            })
        };
        Self { text, length, sent: 0, place, watch: watch.abort_handle() }
    }
}

fn lock(text: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    text.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpBody for Unsent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.sent == self.length {
            return Poll::Ready(None);
        }
        if self.place.is_out() {
            return Poll::Ready(Some(Err(io::Error::other("others needed the room of this answer"))));
        }
        let end = self.length.min(self.sent + CHUNK);
        // A copy: a part of the text would keep all of it.
        let chunk = lock(&self.text).get(self.sent..end).map(Bytes::copy_from_slice);
        self.sent = end;
        Poll::Ready(Some(chunk.map(Frame::data).ok_or_else(|| io::Error::other("the answer is gone"))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.length - self.sent) as u64)
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_arrives_whole_however_large() {
        let answers = Answers::default();
        for length in [0, 1, SMALL, SMALL + 1, 3 * CHUNK, 1_000_000] {
            let text: Vec<u8> = (0..length).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let body = answers.body(text.clone()).unwrap();
            assert_eq!(body.size_hint().exact(), Some(length as u64));
            assert_eq!(body.collect().await.unwrap().to_bytes(), text);
        }
        assert!(answers.body(vec![0; ROOM_BYTES + 1]).is_none());
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_makes_room_for_the_next() {
        let answers = Answers(Room::new(10, 3 * SMALL));
        let mut slow = answers.body(vec![0; 2 * SMALL]).unwrap();
        assert!(slow.frame().await.unwrap().is_ok());
        let quick = answers.body(vec![1; 2 * SMALL]).unwrap();
        assert!(slow.frame().await.unwrap().is_err());
        assert_eq!(quick.collect().await.unwrap().to_bytes().len(), 2 * SMALL);
    }
}
