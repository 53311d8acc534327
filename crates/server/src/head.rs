//! The heads of requests over HTTP/1.1: how long one may take once it has begun, and how long a connection may be silent before.

use std::{
    future::Future as _,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{places::Seat, ruled::Rule};

/// How long a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// For the head of a request, from its first byte to its last.
    pub(crate) head: Duration,
    /// For the first byte of the next request.
    pub(crate) silence: Duration,
}

/// That they come in time.
#[derive(Debug)]
pub(crate) struct Heads {
    seat: Option<Arc<Seat>>,
    patience: Patience,
    phase: Phase,
    end: Pin<Box<Sleep>>,
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The first byte of a request.
    Silent,
    /// The rest of its head.
    Head,
    /// The answer.
    Busy,
}

impl Heads {
    /// Of a connection whose requests are counted by its seat; one without a seat is given no more patience by them.
    pub(crate) fn new(seat: Option<Arc<Seat>>, patience: Patience) -> Self {
        let end = Box::pin(sleep_until(Instant::now() + patience.silence));
        Self { seat, patience, phase: Phase::Silent, end }
    }

    fn turn(&mut self, phase: Phase) {
        self.phase = phase;
        let limit = match phase {
            Phase::Silent => self.patience.silence,
            Phase::Head => self.patience.head,
            Phase::Busy => return,
        };
        self.end.as_mut().reset(Instant::now() + limit);
    }
}

impl Rule for Heads {
    fn read(&mut self, cx: &mut Context<'_>, read: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        let is_busy = self.seat.as_ref().is_some_and(|seat| seat.is_busy());
        match (self.phase, is_busy) {
            (Phase::Silent | Phase::Head, true) => self.turn(Phase::Busy),
            (Phase::Busy, false) => self.turn(Phase::Silent),
            _ => {}
        }
        match read {
            Poll::Ready(Ok(1..)) if self.phase == Phase::Silent => self.turn(Phase::Head),
            Poll::Pending if self.phase != Phase::Busy => {
                ready!(self.end.as_mut().poll(cx));
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, duplex},
        time::sleep,
    };

    use super::*;
    use crate::{places::Places, ruled::Ruled};

    const PATIENCE: Patience = Patience { head: Duration::from_secs(10), silence: Duration::from_mins(10) };

    #[tokio::test(start_paused = true)]
    async fn a_head_that_drips_is_given_up_and_silence_is_borne_for_longer() {
        let (near, mut far) = duplex(64);
        let mut near = Ruled { stream: near, rule: Heads::new(None, PATIENCE) };
        sleep(PATIENCE.silence / 2).await;
        let start = Instant::now();
        let dripping = tokio::spawn(async move {
            while far.write_all(b"x").await.is_ok() {
                sleep(Duration::from_secs(1)).await;
            }
        });
        let error = loop {
            if let Err(error) = near.read_u8().await {
                break error;
            }
        };
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, PATIENCE.head));
        drop(near);
        dripping.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_takes_as_long_as_it_takes_and_then_comes_silence() {
        let (near, mut far) = duplex(64);
        let seat = Arc::new(Places::new(1, PATIENCE.silence).enter([127, 0, 0, 1].into()).unwrap());
        let mut near = Ruled { stream: near, rule: Heads::new(Some(Arc::clone(&seat)), PATIENCE) };
        far.write_all(b"head").await.unwrap();
        near.read_exact(&mut [0; 4]).await.unwrap();
        let request = seat.begin();
        tokio::select! {
            _ = near.read_u8() => panic!("nothing came, and there is no hurry"),
            () = sleep(PATIENCE.silence * 2) => drop(request),
        }
        let start = Instant::now();
        let error = near.read_u8().await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed()), (io::ErrorKind::TimedOut, PATIENCE.silence));
    }
}
