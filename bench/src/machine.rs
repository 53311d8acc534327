//! Where and with what was measured.

use std::fs;
use std::process::Command;

use anyhow::Result;
use serde::Serialize;
use stack::postgres_program;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The machine, what runs on it, and the commit.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// When the run began, UTC.
    pub date: String,
    /// The commit; with `+changes` where files differ from it.
    pub commit: String,
    /// The processor's name.
    pub processor: String,
    /// How many of them there are.
    pub cores: usize,
    /// Memory, in GB.
    pub memory_gb: f64,
    /// The kernel.
    pub kernel: String,
    /// PostgreSQL's version.
    pub postgres: String,
    /// RabbitMQ's version.
    pub rabbitmq: String,
    /// The compiler's version.
    pub rustc: String,
    /// The load average when the run began.
    pub load: String,
}

impl Machine {
    /// This one, now.
    ///
    /// # Errors
    /// PostgreSQL is not installed.
    pub fn look() -> Result<Self> {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let field = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
        };
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kib: f64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
        let postgres = postgres_program("postgres")?.to_string_lossy().into_owned();
        let changes = said("git", &["status", "--porcelain", "--untracked-files=no"]);
        let mark = if changes.is_empty() { "" } else { "+changes" };
        Ok(Self {
            date: OffsetDateTime::now_utc().replace_nanosecond(0)?.format(&Rfc3339)?,
            commit: format!("{}{mark}", said("git", &["rev-parse", "--short=12", "HEAD"])),
            processor: field(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_gb: kib * 1024.0 / 1e9,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            postgres: said(&postgres, &["--version"]).replace("postgres (PostgreSQL) ", ""),
            rabbitmq: rabbitmq_version(),
            rustc: said("rustc", &["--version"]).replace("rustc ", ""),
            load: read("/proc/loadavg").trim().to_owned(),
        })
    }
}

/// What a program prints; nothing if it cannot be run.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// As its folder says: Debian's and RabbitMQ's own packages keep the version there.
fn rabbitmq_version() -> String {
    let folders = ["/usr/lib/rabbitmq/lib", "/opt/rabbitmq/plugins"].map(fs::read_dir);
    let names = folders.into_iter().flatten().flatten().flatten().map(|entry| entry.file_name());
    let names = names.filter_map(|name| name.into_string().ok());
    let mut versions = names.filter_map(|name| {
        Some(name.strip_prefix("rabbitmq_server-").or_else(|| name.strip_prefix("rabbit-"))?.to_owned())
    });
    versions.next().unwrap_or_else(|| "unknown".to_owned())
}
