//! Faults on demand at the steps of a unit of work: for tests, and compiled in with the feature `failpoints` only.
//!
//! [`Step`] is the one list of all places where a process can be made to die or to fail; `docs/failpoints.md` says of each
//! what is lost there and what repairs it. A process is told at its start, by [`ARM`], what is to happen at which step:
//!
//! ```text
//! HOLDFAST_FAILPOINTS=create.placed=abort,publish.sent=error:2,hold.placed=delay:500
//! ```
//!
//! `abort` ends the process on the spot, as SIGKILL would; `error` fails the step as its surroundings would fail it, once or
//! so many times; `delay` lets it take so many milliseconds, once. Without the feature every step is passed, at no cost,
//! and a process that is told otherwise refuses to start.

mod arm;
mod step;

pub use arm::{ARM, ArmError, arm, arm_as};
pub use step::{Program, Step};

/// A step failed because it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failpoint {}", .0.name())]
pub struct Fault(pub Step);

impl From<Fault> for std::io::Error {
    /// As a conversation that broke off: what the other side made of it is unknown.
    fn from(fault: Fault) -> Self {
        Self::new(std::io::ErrorKind::ConnectionReset, fault)
    }
}

/// Passes a step; unless the process was told to die, to fail or to wait there.
///
/// # Errors
/// It was told to fail.
#[cfg(feature = "failpoints")]
pub async fn reach(step: Step) -> Result<(), Fault> {
    match arm::triggered(step) {
        None => Ok(()),
        Some(action) => action.take(step).await,
    }
}

/// Passes a step: there are no failpoints in this program.
#[cfg(not(feature = "failpoints"))]
pub fn reach(_: Step) -> std::future::Ready<Result<(), Fault>> {
    std::future::ready(Ok(()))
}
