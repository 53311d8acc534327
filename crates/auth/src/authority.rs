//! Whom a token is of: checked against the keys as they are now, and remembered until it expires or the keys change.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use ring::digest::{SHA256, digest};
use tokio_util::sync::CancellationToken;

use crate::{
    Algorithm, AuthConfig, Refusal, Role,
    claims::Rules,
    follow::Followed,
    jwk::Keys,
    jws::Parts,
    metrics,
    remembered::{Digest, Remembered},
};

/// The longest token. Those of issuers have 1 to 2 KiB.
const MAX_TOKEN: usize = 8 << 10;
/// Tokens that are remembered, about 200 bytes each.
const REMEMBERED: usize = 20_000;

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
    keys: Followed,
}

/// Keys, and what was verified with them: other keys begin with nothing remembered.
pub(crate) struct Trusted {
    /// None: there are none.
    keys: Option<Keys>,
    remembered: Mutex<Remembered<(Known, Duration)>>,
}

impl Authority {
    /// As the configuration has it. Reads the keys where they are in a file; from a URL [`Self::follow`] fetches them.
    ///
    /// # Errors
    /// The configuration cannot be used, or the file makes no sense.
    pub fn start(config: &AuthConfig) -> anyhow::Result<Self> {
        Ok(Self(Arc::new(Inner {
            rules: config.rules()?,
            algorithms: config.auth_algorithms.clone(),
            keys: Followed::start(config)?,
        })))
    }

    /// Makes the metrics, so that they are there before there is anything to tell.
    pub fn show_metrics() {
        metrics::show();
    }

    /// Follows the keys until `stop`, and tells `tell` after each look whether there are any, or else why not. Nobody else looks
    /// for keys: callers wait for this.
    pub async fn follow(self, tell: impl Fn(Result<(), String>), stop: CancellationToken) {
        stop.run_until_cancelled(self.0.keys.follow(tell)).await;
    }

    /// Whom a token is of that was verified before, with the keys as they are, and has not expired. Costs a hash.
    #[must_use]
    pub fn recall(&self, token: &str) -> Option<Known> {
        if token.len() > MAX_TOKEN {
            return None;
        }
        let (known, expires_at) = self.0.keys.trusted().recall(&hash(token))?;
        (!self.0.rules.is_over(expires_at, now())).then_some(known)
    }

    /// Says whom a token is of. Has other keys looked for, and waits for them, when it names one that is not known.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn authenticate(&self, token: &str) -> Result<Known, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::TooLong);
        }
        if let Some(known) = self.recall(token) {
            return Ok(known);
        }
        let parts = Parts::of(token)?;
        if !self.0.algorithms.contains(&parts.algorithm) {
            return Err(Refusal::Algorithm);
        }
        let trusted = self.0.keys.trusted();
        let judged = self.judge(&trusted, token, &parts);
        if !matches!(judged, Err(Refusal::UnknownKey | Refusal::NoKeys)) {
            return judged;
        }
        // Apart: a call that waits for nothing is not to have room for it.
        Box::pin(self.0.keys.look_again()).await?;
        let now = self.0.keys.trusted();
        // The same keys would say the same.
        if Arc::ptr_eq(&trusted, &now) { judged } else { self.judge(&now, token, &parts) }
    }

    fn judge(&self, trusted: &Trusted, token: &str, parts: &Parts<'_>) -> Result<Known, Refusal> {
        let keys = trusted.keys.as_ref().ok_or(Refusal::NoKeys)?;
        let claims = self.0.rules.judge(parts.verified(keys)?, now())?;
        let known = Known { subject: claims.subject.into(), role: claims.role };
        trusted.remember(hash(token), known.clone(), claims.expires_at);
        Ok(known)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("keys", &self.0.keys).finish_non_exhaustive()
    }
}

impl Trusted {
    /// These keys, of which it may be that there are none.
    pub(crate) fn new(keys: Option<Keys>) -> Self {
        let keys = keys.filter(|keys| !keys.is_empty());
        Self { keys, remembered: Mutex::new(Remembered::new(REMEMBERED)) }
    }

    /// Whether there are keys.
    pub(crate) fn has_keys(&self) -> bool {
        self.keys.is_some()
    }

    fn recall(&self, digest: &Digest) -> Option<(Known, Duration)> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).get(digest)
    }

    fn remember(&self, digest: Digest, known: Known, expires_at: Duration) {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner).put(digest, (known, expires_at));
    }
}

fn hash(token: &str) -> Digest {
    digest(&SHA256, token.as_bytes()).as_ref().try_into().expect("SHA-256 has 32 bytes")
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
