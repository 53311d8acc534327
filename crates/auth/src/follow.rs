//! The issuer's keys as they are now: one task looks at them, regularly and when a caller shows a token of a key that is not known,
//! and keeps the pace. Callers wait for it, and go when they like: what they asked for goes on.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use tokio::{
    sync::{Mutex, Notify, Semaphore, watch},
    time::{Instant, sleep_until},
};

use crate::{
    AuthConfig, Refusal,
    authority::Trusted,
    config,
    jwk::Keys,
    metrics::{self, Outcome},
    source::{Source, Stamp},
};

/// The most callers who wait for a look at a time: each keeps its call's headers.
const WAITING: usize = 512;

/// Keys that are followed.
pub(crate) struct Followed {
    source: Source,
    /// How often they are looked at.
    interval: Duration,
    /// How soon again where there are none, or an unknown one was named.
    pace: Duration,
    /// How long they are believed after they were seen last.
    max_age: Duration,
    trusted: RwLock<Arc<Trusted>>,
    /// Somebody was shown a token of a key that is not known.
    wanted: Notify,
    /// The places of those who wait for what it brings.
    waiting: Semaphore,
    looked: watch::Sender<Looked>,
    /// Of whoever follows them: there is one.
    last: Mutex<Last>,
}

/// The looks so far.
#[derive(Clone, Copy, Debug, Default)]
struct Looked {
    /// How many.
    count: u64,
    /// When the last one ended.
    at: Option<Instant>,
    /// What told the file apart that was read.
    stamp: Option<Stamp>,
}

/// What the last look saw.
struct Last {
    /// The set as it was read.
    text: Option<Vec<u8>>,
    failed: bool,
    /// When the keys were known to be the issuer's.
    seen_at: Instant,
    /// Why there are none.
    lack: String,
}

impl Followed {
    /// As the configuration has it. Reads a file.
    pub(crate) fn start(config: &AuthConfig) -> anyhow::Result<Self> {
        let source = config.source()?;
        let (mut text, mut keys, mut looked) = (None, None, Looked::default());
        if let Source::File(path) = &source {
            // Before it is read: what is written meanwhile is read once more.
            looked.stamp = source.stamp();
            let (read, found) = config::read(path)?;
            (text, keys) = (Some(read), Some(found));
            metrics::seen(config.max_age());
        }
        let interval = config.interval(&source);
        let lack = "the issuer's keys were not fetched yet".to_owned();
        Ok(Self {
            interval,
            pace: Duration::from_millis(config.auth_jwks_pace_ms.into()).min(interval),
            max_age: config.max_age(),
            source,
            trusted: RwLock::new(Arc::new(Trusted::new(keys))),
            wanted: Notify::new(),
            waiting: Semaphore::new(WAITING),
            looked: watch::Sender::new(looked),
            last: Mutex::new(Last { text, failed: false, seen_at: Instant::now(), lack }),
        })
    }

    /// The keys as they are now, and what was verified with them.
    pub(crate) fn trusted(&self) -> Arc<Trusted> {
        Arc::clone(&self.trusted.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn trust(&self, keys: Option<Keys>) {
        *self.trusted.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Trusted::new(keys));
    }

    /// Has the keys looked at, and waits until that is done; unless that was done just now.
    ///
    /// # Errors
    /// As many wait already as may. They are looked at all the same.
    pub(crate) async fn look_again(&self) -> Result<(), Refusal> {
        let mut looked = self.looked.subscribe();
        let before = *looked.borrow_and_update();
        if !self.is_due(&before) {
            return Ok(());
        }
        self.wanted.notify_one();
        let _place = self.waiting.try_acquire().map_err(|_| Refusal::Crowded)?;
        // The sender is here.
        let _ = looked.wait_for(|now| now.count > before.count).await;
        Ok(())
    }

    /// Whether there may be others than at that look: a file tells by itself, elsewhere some time has to pass.
    fn is_due(&self, looked: &Looked) -> bool {
        match self.source {
            Source::File(_) => self.source.stamp() != looked.stamp,
            Source::Url(_) => looked.at.is_none_or(|at| at.elapsed() >= self.pace),
        }
    }

    /// Looks at them for ever, and tells each time whether there are any.
    pub(crate) async fn follow(&self, tell: impl Fn(Result<(), String>)) {
        let mut last = self.last.lock().await;
        loop {
            self.look(&mut last).await;
            let has_keys = self.trusted().has_keys();
            tell(if has_keys { Ok(()) } else { Err(last.lack.clone()) });
            let rest = if has_keys && !last.failed { self.interval } else { self.pace };
            let mut until = Instant::now() + rest;
            if has_keys {
                until = until.min(last.seen_at + self.max_age);
            }
            tokio::select! {
                () = sleep_until(until) => {}
                () = self.wanted.notified() => {}
            }
        }
    }

    /// One look. Whoever waits for one hears of it, whatever it saw.
    async fn look(&self, last: &mut Last) {
        let mut looked = *self.looked.borrow();
        // A file that made no sense may be whole by now.
        let again = last.failed && looked.stamp.is_some();
        if again || self.is_due(&looked) {
            looked.stamp = self.source.stamp();
            self.fetch(last).await;
        } else if looked.stamp.is_some() {
            // The file is there, as it was.
            self.see(last);
        }
        if last.seen_at.elapsed() >= self.max_age && self.trusted().has_keys() {
            let age_s = self.max_age.as_secs();
            tracing::error!(
                age_s,
                "the issuer's keys are too old: no token is good until they can be had again"
            );
            self.trust(None);
            last.text = None;
        }
        looked = Looked { count: looked.count + 1, at: Some(Instant::now()), ..looked };
        self.looked.send_replace(looked);
    }

    /// Takes the keys as they are now, also if there are none. What is out of reach, or makes no sense, changes nothing.
    async fn fetch(&self, last: &mut Last) {
        let read = self.source.read().await;
        let taken = read.and_then(|text| {
            if last.text.as_ref() == Some(&text) {
                return Ok(Outcome::Unchanged);
            }
            let keys = Keys::parse(&text)?;
            let (count, left_out) = (keys.len(), keys.left_out);
            tracing::info!(keys = count, left_out, "there are other keys to check tokens with");
            if keys.is_empty() {
                tracing::error!("the issuer has no key that can check a signature: no token is good");
            }
            last.text = Some(text);
            self.trust(Some(keys));
            Ok(Outcome::Changed)
        });
        let outcome = match taken {
            Ok(outcome) => {
                "the issuer has no key that can check a signature".clone_into(&mut last.lack);
                self.see(last);
                outcome
            }
            Err(error) => {
                let error = format!("{error:#}");
                if !last.failed {
                    tracing::warn!(
                        error,
                        "the keys for tokens cannot be had; those that were stay for a while"
                    );
                }
                last.lack = format!("the issuer's keys cannot be had: {error}");
                Outcome::Failed
            }
        };
        last.failed = outcome == Outcome::Failed;
        metrics::fetched(outcome);
    }

    /// The keys are the issuer's as of now.
    fn see(&self, last: &mut Last) {
        last.seen_at = Instant::now();
        metrics::seen(self.max_age);
    }
}

impl fmt::Debug for Followed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Followed").field("source", &self.source).finish_non_exhaustive()
    }
}
