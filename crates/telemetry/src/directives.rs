//! Which spans and events are taken up at all, by logs and traces alike; and how that changes while the process runs.

use std::{
    fs, io,
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    thread,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tracing::{Level, Metadata, Subscriber, level_filters::LevelFilter, subscriber::Interest};
use tracing_subscriber::{Layer, filter::Targets, layer::Context};

use crate::TelemetryConfig;

/// The libraries of telemetry tell of themselves at `info`, and lapin tells of each lost connection in several lines, which
/// crates/amqp tells in one; sqlx's pool makes an error of each standby that crates/postgres refuses. A directive of the operator's
/// still overrules these.
const QUIET: &str = "opentelemetry=warn,lapin=off,sqlx_core::pool::inner=off";

/// How often the file with directives is looked at.
const INTERVAL: Duration = Duration::from_secs(5);

/// Reads directives.
pub(crate) fn parse(directives: &str) -> anyhow::Result<Targets> {
    ensure!(!directives.trim().is_empty(), "there are no log directives");
    let mut all = QUIET.to_owned();
    let lines = directives.lines().filter(|line| !line.trim().is_empty());
    for directive in lines.flat_map(|line| line.split(',')).map(str::trim) {
        // What is no level would be taken for a target, of which everything is logged.
        let is_level = !directive.is_empty() && directive.parse::<LevelFilter>().is_ok();
        let is_target = directive.contains('=') && !directive.contains(char::is_whitespace);
        ensure!(
            is_level || is_target,
            "{directive:?}, of the log directives, is neither a level nor target=level"
        );
        all.extend([",", directive]);
    }
    all.parse().with_context(|| format!("read the log directives {directives:?}"))
}

/// The directives that the configuration gives: those in its file, if that is there.
pub(crate) fn given(config: &TelemetryConfig) -> anyhow::Result<String> {
    let in_file = config.log_directives_file.as_deref().map(read).transpose()?.flatten();
    Ok(in_file.unwrap_or_else(|| config.log.clone()))
}

/// What the file says; `None` if there is none.
fn read(file: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(file) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("read the log directives in {}", file.display())),
    }
}

/// A filter by directives that may change. What it says of a place in the code is remembered there until they do, so that spans
/// and events take no lock for it.
#[derive(Clone, Debug)]
pub(crate) struct Directives {
    targets: Arc<RwLock<Targets>>,
    /// Whether spans are wanted for traces, whatever is logged.
    traced: bool,
}

impl Directives {
    /// As the configuration has them. They follow its file, if it names one, for as long as the process lives: what is wrong
    /// there keeps no process from starting, and is told by who follows it.
    pub(crate) fn start(config: &TelemetryConfig) -> anyhow::Result<Self> {
        let in_file = given(config).ok().filter(|said| parse(said).is_ok());
        let said = in_file.unwrap_or_else(|| config.log.clone());
        let targets = Arc::new(RwLock::new(parse(&said)?));
        let directives = Self { targets, traced: config.otlp_endpoint.is_some() };
        if let Some(file) = config.log_directives_file.clone() {
            let (follower, otherwise) = (directives.clone(), config.log.clone());
            // Not on the runtime: logs are wanted most when that is stuck.
            thread::Builder::new()
                .name("log directives".to_owned())
                .spawn(move || follower.follow(&file, &otherwise, said))
                .context("start to follow the log directives")?;
        }
        Ok(directives)
    }

    fn follow(&self, file: &Path, otherwise: &str, mut last: String) {
        loop {
            thread::sleep(INTERVAL);
            match read(file).map(|said| said.unwrap_or_else(|| otherwise.to_owned())) {
                Ok(said) if said == last => {}
                Ok(said) => {
                    self.change(&said);
                    last = said;
                }
                Err(error) => {
                    tracing::debug!(error = format!("{error:#}"), "the log directives are out of reach");
                }
            }
        }
    }

    /// Takes other directives; malformed ones change nothing.
    fn change(&self, said: &str) {
        match parse(said) {
            Ok(targets) => {
                *self.targets.write().unwrap_or_else(PoisonError::into_inner) = targets;
                tracing::callsite::rebuild_interest_cache();
                tracing::info!(directives = said.trim(), "other log directives are in force");
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "the log directives stay as they are"),
        }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        let for_traces = self.traced && metadata.is_span() && *metadata.level() <= Level::INFO;
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        for_traces || targets.would_enable(metadata.target(), metadata.level())
    }
}

impl<S: Subscriber> Layer<S> for Directives {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    /// Asked only where another layer is not sure of its interest.
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        let logged = <Targets as Layer<S>>::max_level_hint(&targets)?;
        Some(if self.traced { logged.max(LevelFilter::INFO) } else { logged })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logs(directives: &str, target: &str, level: Level) -> bool {
        parse(directives).unwrap().would_enable(target, &level)
    }

    #[test]
    fn libraries_are_quiet_unless_the_operator_says_otherwise() {
        assert!(logs("info", "reservation::relay", Level::INFO));
        assert!(!logs("info", "reservation::relay", Level::DEBUG));
        assert!(!logs("debug", "lapin::channel", Level::ERROR));
        assert!(logs("debug,lapin=warn", "lapin::channel", Level::WARN));
        assert!(logs("warn,catalog=debug\n", "catalog::holds", Level::DEBUG));
        assert!(!logs("off", "catalog", Level::ERROR));
        assert!(logs("info\n\ncatalog=debug\n", "catalog::holds", Level::DEBUG));
        assert!(logs("info\ncatalog=debug", "reservation", Level::INFO));
        assert!(parse("info catalog=debug").is_err() && parse(" \n").is_err());
    }

    #[test]
    fn malformed_directives_are_refused() {
        for text in ["", "loud", "catalog=loud", "info,,catalog=debug", "info,"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
