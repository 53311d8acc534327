//! How the writers of the outbox tell its readers that there is something new.

use tokio::sync::Notify;

use crate::store::promises::Owed;

/// One bell for each kind of row. A bell that rings while nobody listens is heard by the next who does.
#[derive(Debug, Default)]
pub struct Wake {
    /// There are timers.
    pub timers: Notify,
    /// There are events.
    pub events: Notify,
    /// There are settlements.
    pub settles: Notify,
}

impl Wake {
    /// Rings for what was written. To be called after the commit.
    pub fn ring(&self, owed: &Owed) {
        for (kind, bell) in [("timer", &self.timers), ("event", &self.events), ("settle", &self.settles)] {
            if owed.has(kind) {
                bell.notify_one();
            }
        }
    }

    /// Rings for new holds: timers and events.
    pub fn ring_held(&self) {
        self.timers.notify_one();
        self.events.notify_one();
    }
}
