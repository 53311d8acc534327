//! The audit as a command. Ends with 0 if everything is sound, 1 if a rule is broken, 2 if nothing can be said.

use std::process::ExitCode;

use audit::Options;
use clap::Parser;

/// What can be set.
#[derive(Parser, Debug)]
#[command(
    name = "audit",
    version,
    about = "Checks Holdfast's invariants across both databases, while it works",
    after_help = "Exit status: 0 sound, 1 a rule is broken, 2 nothing can be said."
)]
struct Config {
    #[command(flatten)]
    options: Options,
    /// How to print the report.
    #[arg(long, env = "HOLDFAST_AUDIT_FORMAT", value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How to print the report.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let config = Config::parse();
    match run(&config).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("not audited: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Audits and prints; whether everything is sound.
async fn run(config: &Config) -> anyhow::Result<bool> {
    let report = audit::run(&config.options).await?;
    match config.format {
        Format::Text => println!("{report}"),
        Format::Json => println!("{}", serde_json::to_string_pretty(&report)?),
    }
    Ok(report.is_sound())
}
