//! Hears the errors that the crate logs on this thread.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tracing::{
    Event, Level, Metadata, Subscriber,
    span::{Attributes, Id, Record},
    subscriber::{DefaultGuard, set_default},
};

/// Whether there was an error.
#[derive(Clone, Default)]
pub(crate) struct Alarm(Arc<AtomicBool>);

impl Alarm {
    pub(crate) fn rang(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Listens until the guard is dropped.
pub(crate) fn listen() -> (Alarm, DefaultGuard) {
    let alarm = Alarm::default();
    let guard = set_default(alarm.clone());
    (alarm, guard)
}

impl Subscriber for Alarm {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        *about.level() == Level::ERROR && about.target().starts_with("postgres::")
    }
    fn event(&self, _: &Event<'_>) {
        self.0.store(true, Ordering::Relaxed);
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}
