//! What can be set about telemetry.

use std::path::PathBuf;

use crate::{directives, traces};

/// How much is logged and how, and where traces go.
#[derive(clap::Args, Clone, Debug)]
pub struct TelemetryConfig {
    /// What is logged: a level, or levels by target, such as `info,catalog=debug`.
    #[arg(long, env = "HOLDFAST_LOG", default_value = "info", value_name = "DIRECTIVES")]
    pub log: String,
    /// A file with the same, which takes its place if it is there. It is looked at every 5 seconds, so that levels can be changed
    /// without a restart; what cannot be read changes nothing. Without it the levels stay as they are.
    #[arg(long, env = "HOLDFAST_LOG_DIRECTIVES_FILE", value_name = "PATH")]
    pub log_directives_file: Option<PathBuf>,
    /// How a log line looks: for people, or one JSON object.
    #[arg(long, env = "HOLDFAST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Pretty)]
    pub log_format: LogFormat,
    /// Where traces go: the URL of an OTLP gRPC endpoint, such as `http://127.0.0.1:4317`, without TLS. Without it none are made.
    #[arg(long, env = "HOLDFAST_OTLP_ENDPOINT", value_name = "URL", hide_env_values = true)]
    pub otlp_endpoint: Option<String>,
    /// Which part of the traces that begin here is exported, 0 to 1. Those that a caller began are exported as the caller decided.
    #[arg(
        long,
        env = "HOLDFAST_TRACE_RATIO",
        default_value_t = 1.0,
        value_name = "RATIO",
        value_parser = ratio
    )]
    pub trace_ratio: f64,
}

impl TelemetryConfig {
    /// Whether it can be used, without setting anything up.
    ///
    /// # Errors
    /// The directives, in the file too if there is one, or the endpoint are malformed.
    pub fn check(&self) -> anyhow::Result<()> {
        directives::parse(&self.log)?;
        directives::parse(&directives::given(self)?)?;
        traces::check(self)
    }
}

/// How a log line looks.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text, coloured on a terminal.
    Pretty,
    /// One JSON object per line.
    Json,
}

fn ratio(text: &str) -> Result<f64, String> {
    let ratio = text.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.ok_or_else(|| "it must be a number from 0 to 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_number_from_0_to_1() {
        assert_eq!((ratio("0"), ratio("0.25"), ratio("1")), (Ok(0.0), Ok(0.25), Ok(1.0)));
        for text in ["", "-0.1", "1.1", "NaN", "half"] {
            assert!(ratio(text).is_err(), "{text}");
        }
    }
}
