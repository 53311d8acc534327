//! The token that a service shows to the others: in a file that whoever issues it keeps fresh.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ::http::HeaderValue;
use anyhow::Context as _;
use tokio::time::Instant;

/// How often the file is read while calls are made.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a program shows to the services that it calls.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct TokenConfig {
    /// A file with the bearer token for calls to other services, read again while calls are made. Without it none is shown.
    #[arg(long, env = "HOLDFAST_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl TokenConfig {
    /// Whether the file can be used as it is now.
    ///
    /// # Errors
    /// It cannot be read, or has no token.
    pub fn check(&self) -> anyhow::Result<()> {
        self.path().map_or(Ok(()), |path| read(path).map(drop)).context("HOLDFAST_TOKEN_FILE")
    }

    /// The file, if there is one.
    #[must_use]
    pub fn file(&self) -> Option<TokenFile> {
        self.path().map(|path| TokenFile { path: path.into(), held: Arc::default() })
    }

    fn path(&self) -> Option<&Path> {
        self.token_file.as_deref().filter(|path| !path.as_os_str().is_empty())
    }
}

/// A file with a token. Clones share what was read.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: Arc<Path>,
    held: Arc<Mutex<Held>>,
}

#[derive(Debug, Default)]
struct Held {
    value: Option<HeaderValue>,
    read_at: Option<Instant>,
    failed: bool,
}

impl TokenFile {
    /// The header of a call that shows the token; what was read last while the file cannot be read.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.read_at.is_none_or(|at| at.elapsed() >= INTERVAL) {
            held.read_at = Some(Instant::now());
            match read(&self.path) {
                Ok(value) => {
                    held.value = Some(value);
                    held.failed = false;
                }
                Err(error) if !held.failed => {
                    held.failed = true;
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "the token cannot be read; the one that was stays"
                    );
                }
                Err(_) => {}
            }
        }
        held.value.clone()
    }
}

fn read(path: &Path) -> anyhow::Result<HeaderValue> {
    let text = fs::read_to_string(path).with_context(|| format!("read the token in {}", path.display()))?;
    let token = text.trim();
    anyhow::ensure!(!token.is_empty(), "there is no token in {}", path.display());
    let mut value =
        HeaderValue::try_from(format!("Bearer {token}")).context("the token is no text of one line")?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::env;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_token_follows_its_file_and_stays_while_that_is_away() {
        let path = env::temp_dir().join(format!("holdfast-token-{}", std::process::id()));
        let config = TokenConfig { token_file: Some(path.clone()) };
        assert!(config.check().is_err());
        fs::write(&path, "one\n").unwrap();
        config.check().unwrap();
        let file = config.file().unwrap();
        assert_eq!(file.header().unwrap(), "Bearer one");
        fs::write(&path, "two\n").unwrap();
        assert_eq!(file.header().unwrap(), "Bearer one");
        tokio::time::advance(INTERVAL).await;
        assert_eq!(file.header().unwrap(), "Bearer two");
        fs::remove_file(&path).unwrap();
        tokio::time::advance(INTERVAL).await;
        assert_eq!(file.header().unwrap(), "Bearer two");
    }

    #[test]
    fn without_a_file_nothing_is_shown() {
        for token_file in [None, Some(PathBuf::new())] {
            let config = TokenConfig { token_file };
            assert!(config.check().is_ok() && config.file().is_none());
        }
    }
}
