//! What this process depends on, and whether it is ready for calls.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use opentelemetry::{KeyValue, metrics::Gauge};
use tokio::sync::watch;

static UP: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    telemetry::meter()
        .u64_gauge("holdfast_part_up")
        .with_description("Whether a part that this process depends on works: 1 or 0")
        .build()
});

/// The state of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartState {
    /// It works.
    Up,
    /// It does not, and why: one line for the operator, without secrets.
    Down(String),
}

/// One part that the process depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Whether the process is useless without it.
    pub required: bool,
    /// Whether it works.
    pub state: PartState,
}

/// All parts at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// Every part by its name.
    pub parts: BTreeMap<&'static str, Part>,
    /// Whether calls are taken.
    pub serving: bool,
    /// Whether the process is about to end.
    pub draining: bool,
}

impl Snapshot {
    /// Whether calls are welcome: they are taken, every required part is up, and the process is not about to end.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.serving
            && !self.draining
            && self.parts.values().all(|part| !part.required || part.state == PartState::Up)
    }
}

/// The health of this process: the one place that gRPC health and `/readyz` are read from. Clones share it.
///
/// A part is down until something says otherwise.
#[derive(Clone, Debug)]
pub struct Health {
    services: Arc<[&'static str]>,
    parts: Arc<watch::Sender<Snapshot>>,
}

impl Health {
    /// The health of a process that serves the gRPC services of these full names (`CatalogServiceServer::<()>::NAME`); where there are
    /// some, it is not ready before calls are taken.
    #[must_use]
    pub fn new(services: &[&'static str]) -> Self {
        let snapshot = Snapshot { serving: services.is_empty(), ..Snapshot::default() };
        Self { services: services.into(), parts: Arc::new(watch::Sender::new(snapshot)) }
    }

    /// Adds a part without which the process is not ready.
    #[must_use]
    pub fn require(self, part: &'static str) -> Self {
        self.add(part, true)
    }

    /// Adds a part that is shown, but does not make the process unready.
    #[must_use]
    pub fn inform(self, part: &'static str) -> Self {
        self.add(part, false)
    }

    fn add(self, part: &'static str, required: bool) -> Self {
        let state = PartState::Down("not reached yet".to_owned());
        self.parts.send_modify(|snapshot| {
            snapshot.parts.insert(part, Part { required, state });
        });
        self
    }

    /// Makes a part one that is only shown, from now on.
    pub fn waive(&self, part: &'static str) {
        self.parts.send_if_modified(|snapshot| {
            let required = snapshot.parts.get_mut(part).map(|part| &mut part.required);
            required.is_some_and(std::mem::take)
        });
    }

    /// Says how a part is. A change is logged; a part that was not added is informative from now on.
    pub fn set(&self, part: &'static str, state: PartState) {
        UP.record(u64::from(state == PartState::Up), &[KeyValue::new("part", part)]);
        self.parts.send_if_modified(|snapshot| {
            let known = snapshot
                .parts
                .entry(part)
                .or_insert(Part { required: false, state: PartState::Down(String::new()) });
            if known.state == state {
                return false;
            }
            match &state {
                PartState::Up => tracing::info!(part, "up"),
                PartState::Down(reason) => tracing::warn!(part, reason, "down"),
            }
            known.state = state;
            true
        });
    }

    /// Whether this part is up.
    #[must_use]
    pub fn is_up(&self, part: &str) -> bool {
        self.parts.borrow().parts.get(part).is_some_and(|part| part.state == PartState::Up)
    }

    /// Whether calls are welcome now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.borrow().is_ready()
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.parts.borrow().draining
    }

    /// All parts as they are now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.parts.borrow().clone()
    }

    /// To wait for changes.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Snapshot> {
        self.parts.subscribe()
    }

    /// Calls are taken from now on.
    pub(crate) fn serve(&self) {
        self.parts.send_modify(|snapshot| snapshot.serving = true);
    }

    /// Not ready from now on: the process is about to end.
    pub fn drain(&self) {
        self.parts.send_modify(|snapshot| snapshot.draining = true);
    }

    /// The full names of the gRPC services that this process serves.
    #[must_use]
    pub fn services(&self) -> &[&'static str] {
        &self.services
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(reason: &str) -> PartState {
        PartState::Down(reason.to_owned())
    }

    #[test]
    fn a_part_that_is_waived_is_shown_and_no_more_waited_for() {
        let health = Health::new(&[]).require("keys");
        assert!(!health.is_ready());
        health.set("keys", PartState::Up);
        health.waive("keys");
        health.set("keys", PartState::Down("none are left".to_owned()));
        assert!(health.is_ready());
        health.waive("another");
        assert!(health.is_ready());
    }

    #[test]
    fn a_process_is_ready_once_every_required_part_is_up() {
        let health = Health::new(&[]).require("database").require("schema").inform("broker");
        assert!(!health.is_ready());
        health.set("database", PartState::Up);
        assert!(!health.is_ready());
        health.set("schema", PartState::Up);
        assert!(health.is_ready());
        health.set("database", down("connection refused"));
        assert!(!health.is_ready());
    }

    #[test]
    fn an_informative_part_makes_nothing_unready() {
        let health = Health::new(&[]).require("database").inform("broker");
        health.set("database", PartState::Up);
        health.set("broker", down("connection refused"));
        health.set("never added", down("whatever"));
        assert!(health.is_ready());
        assert_eq!(health.snapshot().parts["broker"].state, down("connection refused"));
    }

    #[test]
    fn a_process_with_services_is_not_ready_before_it_takes_calls() {
        let health = Health::new(&["test.Test"]).require("database");
        health.set("database", PartState::Up);
        assert!(!health.is_ready());
        health.serve();
        assert!(health.is_ready());
        health.drain();
        assert!(!health.is_ready());
    }

    #[test]
    fn a_process_that_drains_is_not_ready() {
        let health = Health::new(&[]);
        assert!(health.is_ready());
        health.drain();
        assert!(!health.is_ready());
    }

    #[test]
    fn only_a_change_is_told() {
        let health = Health::new(&[]).require("database");
        let mut changes = health.subscribe();
        health.set("database", PartState::Up);
        assert!(changes.has_changed().unwrap());
        changes.mark_unchanged();
        health.set("database", PartState::Up);
        assert!(!changes.has_changed().unwrap());
    }
}
