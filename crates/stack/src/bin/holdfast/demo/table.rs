//! The table that the demo prints, row by row as things happen.

/// The columns of a story.
pub(super) fn head(title: &str, goods: &str) {
    println!("\n{title}");
    println!("{}", "─".repeat(108));
    println!("{:<58} {:<24} {goods}", "what happens", "answer");
    println!("{}", "─".repeat(108));
}

/// What happened, what was answered, and how things stand afterwards.
pub(super) fn row(what: &str, answer: &str, goods: &str) {
    println!("{what:<58} {answer:<24} {goods}");
}
