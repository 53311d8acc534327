//! What this process depends on, and whether it is ready for calls.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;

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
    /// Whether the process is about to end.
    pub draining: bool,
}

impl Snapshot {
    /// Whether calls are welcome: every required part is up, and the process is not about to end.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.draining && self.parts.values().all(|part| !part.required || part.state == PartState::Up)
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
    /// The health of a process that serves the gRPC services of these full names (`CatalogServiceServer::<()>::NAME`).
    #[must_use]
    pub fn new(services: &[&'static str]) -> Self {
        Self { services: services.into(), parts: Arc::new(watch::Sender::new(Snapshot::default())) }
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

    /// Says how a part is. A change is logged; a part that was not added is informative from now on.
    pub fn set(&self, part: &'static str, state: PartState) {
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

    /// Whether calls are welcome now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.parts.borrow().is_ready()
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
