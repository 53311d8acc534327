//! The table that the demo prints, row by row as things happen.

use crate::output::line;

/// The columns of a story.
pub(super) fn head(title: &str, goods: &str) {
    line(format_args!("\n{title}"));
    line("─".repeat(108));
    line(format_args!("{:<58} {:<24} {goods}", "what happens", "answer"));
    line("─".repeat(108));
}

/// What happened, what was answered, and how things stand afterwards.
pub(super) fn row(what: &str, answer: &str, goods: &str) {
    line(format_args!("{what:<58} {answer:<24} {goods}"));
}
