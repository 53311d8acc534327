//! Responses on their way. Each keeps the place of its call until it is sent; so where there is no place, and who was answered long
//! ago still does not take the answer, that connection is closed.
//!
//! HTTP/2 lets a client shut the window of a stream: what it asked for then waits for ever, whatever else goes on.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::places::Line;

/// How long a response may be on its way where others wait for its place.
const PATIENCE: Duration = Duration::from_secs(3);
/// The same where half of all places are taken by such.
const LITTLE_PATIENCE: Duration = Duration::from_millis(500);

/// The responses on their way. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Responses(Arc<Mutex<UnderWay>>);

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    /// Since when, and over which connection; the oldest first.
    lines: BTreeMap<u64, (Instant, Arc<Line>)>,
}

/// A response on its way, until it is dropped.
#[derive(Debug)]
pub(crate) struct Sending {
    responses: Responses,
    number: u64,
}

impl Responses {
    /// One begins to be sent over this connection.
    pub(crate) fn begin(&self, line: Arc<Line>) -> Sending {
        let mut under_way = self.under_way();
        let number = under_way.next;
        under_way.next += 1;
        under_way.lines.insert(number, (Instant::now(), line));
        drop(under_way);
        Sending { responses: self.clone(), number }
    }

    /// There is no place for a call, of so many: closes the connection that has not taken an answer for longest, if that is long.
    pub(crate) fn make_place(&self, places: usize) {
        let under_way = self.under_way();
        let patience = if under_way.lines.len() * 2 >= places { LITTLE_PATIENCE } else { PATIENCE };
        if let Some((since, line)) = under_way.lines.values().next()
            && since.elapsed() >= patience
        {
            tracing::debug!("a connection that takes no answers is closed");
            line.put_out();
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.responses.under_way().lines.remove(&self.number);
    }
}
