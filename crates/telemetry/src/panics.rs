//! Panics, as one line of the log each.

use std::panic::{self, PanicHookInfo};

/// From here on, a panic is logged with its message and place, within the span in which it happened.
pub(crate) fn log() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string);
        tracing::error!(panic.message = message(info), panic.place = place, "panicked");
    }));
}

fn message<'a>(info: &'a PanicHookInfo<'_>) -> &'a str {
    info.payload_as_str().unwrap_or("(not text)")
}
