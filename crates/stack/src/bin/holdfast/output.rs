//! Lines on standard output. Nobody has to read them to the end: `make status | head` is no error.

use std::fmt::Display;
use std::io::{Write, stdout};

/// Prints a line.
pub(crate) fn line(text: impl Display) {
    let _ = writeln!(stdout(), "{text}");
}
