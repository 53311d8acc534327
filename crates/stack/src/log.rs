//! Log files: their last lines, for messages about what failed.

use std::fs;
use std::path::Path;

/// The last `lines` lines of a log, indented; says so when there are none.
#[must_use]
pub fn tail(log: &Path, lines: usize) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    if all.is_empty() {
        return format!("  ({} is empty)", log.display());
    }
    let shown: Vec<String> =
        all[all.len().saturating_sub(lines)..].iter().map(|line| format!("  {line}")).collect();
    format!("  last lines of {}:\n{}", log.display(), shown.join("\n"))
}
