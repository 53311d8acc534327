//! The signals that ask a process to end, and the limit on how long that may take.

use std::{process, time::Duration};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// How long the whole way out may take: the drain, and what is in hand behind it. Whatever is stuck then is cut off.
const HARD_LIMIT: Duration = Duration::from_secs(13);

/// Cancelled when the process is asked to end, by SIGTERM or SIGINT. Call it once, from `main`.
///
/// A process that has not ended 13 s later ends all the same, with exit code 1; so it does at once on a second SIGINT: somebody
/// at a keyboard has lost patience. A second SIGTERM says nothing new.
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
        cut_off(interrupt).await;
    });
    stop
}

/// Ends the process when its time is up, or on another SIGINT. Everything that was acknowledged is in a database by now, and
/// what was not comes again: a process may die at any instruction.
async fn cut_off(mut interrupt: Signal) {
    let why = tokio::select! {
        () = sleep(HARD_LIMIT) => "its time is up",
        _ = interrupt.recv() => "SIGINT again",
    };
    tracing::warn!(why, "ended with work in hand");
    process::exit(1);
}
