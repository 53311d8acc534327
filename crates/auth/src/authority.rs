//! Whom a token is of: checked against the keys as they are now, and remembered until it expires or the keys change.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use ring::digest::{SHA256, digest};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    Algorithm, AuthConfig, Refusal, Role,
    claims::Rules,
    jwk::Keys,
    jws::Parts,
    metrics::{self, Outcome},
    remembered::{Digest, Remembered},
    source::{Source, Stamp},
};

/// The longest token. Those of issuers have 1 to 2 KiB.
const MAX_TOKEN: usize = 8 << 10;
/// Tokens that are remembered, about 200 bytes each.
const REMEMBERED: usize = 20_000;
/// How often a file of keys is looked at.
const FILE_INTERVAL: Duration = Duration::from_secs(2);

/// Whom a token is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who, by the issuer's name for them.
    pub subject: Arc<str>,
    /// What they are to Holdfast; none: nothing that is known here.
    pub role: Option<Role>,
}

/// Checks tokens. Clones share keys and memory.
#[derive(Clone)]
pub struct Authority(Arc<Inner>);

struct Inner {
    rules: Rules,
    algorithms: Vec<Algorithm>,
    source: Source,
    interval: Duration,
    pace: Duration,
    trusted: RwLock<Arc<Trusted>>,
    /// Held while the keys are fetched: who comes meanwhile waits for it.
    last: tokio::sync::Mutex<Last>,
}

/// Keys, and what was verified with them: other keys begin with nothing remembered.
struct Trusted {
    /// None: they could not be fetched yet.
    keys: Option<Keys>,
    remembered: Mutex<Remembered<(Known, Duration)>>,
}

/// When the keys were last looked at, and what they were.
#[derive(Default)]
struct Last {
    at: Option<Instant>,
    stamp: Option<Stamp>,
    text: Vec<u8>,
    failed: bool,
}

impl Authority {
    /// As the configuration has it. Reads the keys where they are in a file; from a URL [`Self::follow`] fetches them.
    ///
    /// # Errors
    /// The configuration cannot be used, or the file makes no sense.
    pub fn start(config: &AuthConfig) -> anyhow::Result<Self> {
        let (rules, source) = (config.rules()?, config.source()?);
        let mut last = Last::default();
        let mut keys = None;
        if let Source::File(path) = &source {
            last.stamp = source.stamp();
            last.text = crate::source::read_file(path)?;
            keys = Some(Keys::parse(&last.text).with_context(|| format!("the keys in {}", path.display()))?);
        }
        Ok(Self(Arc::new(Inner {
            rules,
            algorithms: config.auth_algorithms.clone(),
            interval: match source {
                Source::File(_) => FILE_INTERVAL,
                Source::Url(_) => Duration::from_secs(config.auth_jwks_interval_s.into()),
            },
            pace: Duration::from_millis(config.auth_jwks_pace_ms.into()),
            source,
            trusted: RwLock::new(Arc::new(Trusted::new(keys))),
            last: tokio::sync::Mutex::new(last),
        })))
    }

    /// Makes the counters, so that they are there before there is anything to count.
    pub fn show_metrics() {
        metrics::show();
    }

    /// Says whom a token is of. Looks for other keys, and waits for them, when it names one that is not known.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn authenticate(&self, token: &str) -> Result<Known, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::TooLong);
        }
        let digest = hash(token);
        let now = now();
        let trusted = self.trusted();
        if let Some((known, expires_at)) = trusted.recall(&digest) {
            if !self.0.rules.is_over(expires_at, now) {
                return Ok(known);
            }
            trusted.forget(&digest);
            return Err(Refusal::Expired);
        }
        let parts = Parts::of(token)?;
        if !self.0.algorithms.contains(&parts.algorithm) {
            return Err(Refusal::Algorithm);
        }
        match self.judge(&trusted, digest, &parts, now) {
            Err(Refusal::UnknownKey | Refusal::NoKeys) => {
                // Apart: a call that fetches nothing is not to have room for it.
                Box::pin(self.look_again(&trusted)).await;
                self.judge(&self.trusted(), digest, &parts, now)
            }
            judged => judged,
        }
    }

    /// Follows the keys until `stop`.
    pub async fn follow(self, stop: CancellationToken) {
        let following = async {
            loop {
                self.look().await;
                let has_none = self.trusted().keys.is_none();
                sleep(if has_none { self.0.pace.min(self.0.interval) } else { self.0.interval }).await;
            }
        };
        stop.run_until_cancelled(following).await;
    }

    fn judge(
        &self,
        trusted: &Trusted,
        digest: Digest,
        parts: &Parts<'_>,
        now: Duration,
    ) -> Result<Known, Refusal> {
        let keys = trusted.keys.as_ref().ok_or(Refusal::NoKeys)?;
        let claims = self.0.rules.judge(parts.verified(keys)?, now)?;
        let known = Known { subject: claims.subject.into(), role: claims.role };
        trusted.remember(digest, known.clone(), claims.expires_at);
        Ok(known)
    }

    /// Looks whether there are others than these keys: at a file that was changed at once, elsewhere not too often.
    async fn look_again(&self, seen: &Arc<Trusted>) {
        let mut last = self.0.last.lock().await;
        if !Arc::ptr_eq(seen, &self.trusted()) {
            return; // somebody has looked meanwhile
        }
        let is_due = match self.0.source {
            Source::File(_) => self.0.source.stamp() != last.stamp,
            Source::Url(_) => last.at.is_none_or(|at| at.elapsed() >= self.0.pace),
        };
        if is_due {
            self.fetch(&mut last).await;
        }
    }

    async fn look(&self) {
        let mut last = self.0.last.lock().await;
        let is_same = last.stamp.is_some() && self.0.source.stamp() == last.stamp && !last.failed;
        if !is_same {
            self.fetch(&mut last).await;
        }
    }

    /// Takes the keys as they are now. What is out of reach, or makes no sense, changes nothing.
    async fn fetch(&self, last: &mut Last) {
        // Before it is read: what is written meanwhile is read once more.
        last.stamp = self.0.source.stamp();
        let read = self.0.source.read().await;
        last.at = Some(Instant::now());
        let taken = read.and_then(|text| {
            if text == last.text {
                return Ok(Outcome::Unchanged);
            }
            let keys = Keys::parse(&text)?;
            tracing::info!(
                keys = keys.len(),
                left_out = keys.left_out,
                "there are other keys to check tokens with"
            );
            last.text = text;
            *self.0.trusted.write().unwrap_or_else(PoisonError::into_inner) =
                Arc::new(Trusted::new(Some(keys)));
            Ok(Outcome::Changed)
        });
        let outcome = taken.unwrap_or_else(|error| {
            if !last.failed {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the keys for tokens cannot be had; those that were stay"
                );
            }
            Outcome::Failed
        });
        last.failed = outcome == Outcome::Failed;
        metrics::fetched(outcome);
    }

    fn trusted(&self) -> Arc<Trusted> {
        Arc::clone(&self.0.trusted.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("source", &self.0.source).finish_non_exhaustive()
    }
}

impl Trusted {
    fn new(keys: Option<Keys>) -> Self {
        Self { keys, remembered: Mutex::new(Remembered::new(REMEMBERED)) }
    }

    fn recall(&self, digest: &Digest) -> Option<(Known, Duration)> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(digest)
    }

    fn remember(&self, digest: Digest, known: Known, expires_at: Duration) {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).put(digest, (known, expires_at));
    }

    fn forget(&self, digest: &Digest) {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).forget(digest);
    }
}

fn hash(token: &str) -> Digest {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
