//! What can be set.

use std::path::PathBuf;

use crate::scale::Scale;
use crate::scenario;

/// Measures Holdfast against raw SQL and bare gRPC, in the same run on the same machine.
#[derive(clap::Parser, Clone, Debug)]
#[command(name = "bench", version)]
pub struct Options {
    /// Which scenarios; none: all.
    #[arg(value_name = "SCENARIO", value_parser = scenario_name)]
    pub scenarios: Vec<String>,
    /// Less of everything: minutes instead of half an hour.
    #[arg(long)]
    pub quick: bool,
    /// Where the results go. Without it: bench/results for a full run of everything, else .holdfast/bench.
    #[arg(long, value_name = "FOLDER")]
    pub results: Option<PathBuf>,
    /// List the scenarios.
    #[arg(long)]
    pub list: bool,
    /// What to do instead.
    #[command(subcommand)]
    pub mode: Option<Mode>,
}

/// What else the program does.
#[derive(clap::Subcommand, Clone, Copy, Debug)]
pub enum Mode {
    /// Serve baseline E; the bench starts it itself.
    Echo,
}

impl Options {
    /// How large and how long.
    #[must_use]
    pub fn scale(&self) -> Scale {
        if self.quick { Scale::QUICK } else { Scale::FULL }
    }

    /// Where the results go.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        let whole = self.scenarios.is_empty() && !self.quick;
        let folder = if whole { "bench/results" } else { ".holdfast/bench" };
        self.results.clone().unwrap_or_else(|| folder.into())
    }
}

fn scenario_name(text: &str) -> Result<String, String> {
    let names: Vec<_> = scenario::ALL.iter().map(|scenario| scenario.name).collect();
    if names.contains(&text) { Ok(text.to_owned()) } else { Err(format!("there are: {}", names.join(", "))) }
}
