//! `holdfast clean`: stops everything and removes its data and logs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::down;
use crate::output::line;
use crate::running::{Running, Turn};

/// Removes the folder, and the database where it had to live elsewhere.
pub(crate) fn run(home: &Path) -> Result<()> {
    if !home.exists() {
        line("There is nothing to remove.");
        return Ok(());
    }
    let _turn = Turn::take(home)?;
    if let Some(running) = Running::load(home)? {
        down::stop(home, &running)?;
    }
    if let Ok(elsewhere) = fs::read_link(home.join("postgres")) {
        let name = elsewhere.file_name().unwrap_or_default().to_string_lossy();
        ensure!(name.starts_with("holdfast-"), "{} is not a folder that Holdfast made", elsewhere.display());
        fs::remove_dir_all(&elsewhere).with_context(|| format!("remove {}", elsewhere.display()))?;
    }
    fs::remove_dir_all(home).with_context(|| format!("remove {}", home.display()))?;
    line(format_args!("Removed {}.", home.display()));
    Ok(())
}
