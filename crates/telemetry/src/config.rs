//! What can be set about telemetry.

/// How much is logged and how, and where traces go.
#[derive(clap::Args, Clone, Debug)]
pub struct TelemetryConfig {
    /// What is logged: a level, or tracing-subscriber directives such as `info,catalog=debug`.
    #[arg(long, env = "HOLDFAST_LOG", default_value = "info", value_name = "DIRECTIVES")]
    pub log: String,
    /// How a log line looks: for people, or one JSON object.
    #[arg(long, env = "HOLDFAST_LOG_FORMAT", value_enum, default_value_t = LogFormat::Pretty)]
    pub log_format: LogFormat,
    /// Where traces go: the URL of an OTLP gRPC endpoint, such as `http://127.0.0.1:4317`. Without it none are made.
    #[arg(long, env = "HOLDFAST_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
}

/// How a log line looks.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One line of text, coloured on a terminal.
    Pretty,
    /// One JSON object per line.
    Json,
}
