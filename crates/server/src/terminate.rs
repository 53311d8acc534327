//! The signals that ask a process to end.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancelled when the process is asked to end, by SIGTERM or SIGINT. Call it once.
///
/// # Panics
/// Outside a Tokio runtime.
#[must_use]
pub fn on_terminate() -> CancellationToken {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM is a signal that may be handled");
    let mut interrupt = signal(SignalKind::interrupt()).expect("SIGINT is a signal that may be handled");
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "stopping");
        stopping.cancel();
    });
    stop
}
