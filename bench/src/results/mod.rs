//! The results: a table, the same for programs, and plots.

mod plot;
mod table;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::figure::Report;
use crate::machine::Machine;

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Where and with what.
    pub machine: Machine,
    /// How large and how long.
    pub scale: &'static str,
    /// Whether targets mean anything at this scale.
    pub judged: bool,
    /// How long all of it took, in seconds.
    pub took_s: f64,
    /// One for each scenario, in their order.
    pub reports: Vec<Report>,
    /// What was wrong.
    pub failures: Vec<Failure>,
}

/// A scenario in which something was wrong: a call failed, or the books do not balance.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Its name.
    pub scenario: String,
    /// What.
    pub error: String,
}

impl Results {
    /// Writes them into a folder.
    ///
    /// # Errors
    /// It cannot be written to.
    pub fn write(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        let files = [
            ("results.md", self.markdown()),
            ("results.json", serde_json::to_string_pretty(self)? + "\n"),
            ("figures.svg", plot::figures(&self.reports)),
            ("latency.svg", plot::latencies(&self.reports)),
        ];
        for (name, text) in files {
            let path = folder.join(name);
            fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    /// The table, with what is needed to understand it.
    #[must_use]
    pub fn markdown(&self) -> String {
        table::markdown(self)
    }
}
