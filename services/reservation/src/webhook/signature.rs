//! Signatures of events: HMAC-SHA256 with one of the secrets in a file, of the time at which it was sent and the body.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, ensure};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;

/// How far the time of an event may be from ours, either way.
const TOLERANCE: Duration = Duration::from_mins(5);
/// The shortest secret, in bytes.
const SHORTEST: usize = 16;
/// The most secrets at a time, and the most signatures of one event.
const MOST: usize = 8;
/// How often the file is looked at, at most.
const PACE: Duration = Duration::from_secs(1);

/// The secrets of this moment.
#[derive(Debug)]
pub(super) struct Secrets {
    file: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    read_at: Instant,
    secrets: Arc<[SecretString]>,
}

impl Secrets {
    /// Reads them from a file: one a line; empty lines, and those that begin with `#`, do not count.
    ///
    /// # Errors
    /// It cannot be read, or they are too few, too many, or too short.
    pub(super) fn read(file: &Path) -> anyhow::Result<Self> {
        let known = Known { read_at: Instant::now(), secrets: load(file)? };
        Ok(Self { file: file.to_owned(), known: Mutex::new(known) })
    }

    /// Whether the signature is good, and of now.
    pub(super) async fn verify(&self, signature: &str, body: &[u8]) -> bool {
        is_good(&self.now().await, signature, body, since_1970())
    }

    /// The secrets as the file has them, or had them while it made sense.
    async fn now(&self) -> Arc<[SecretString]> {
        let due = {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            let due = known.read_at.elapsed() >= PACE;
            if due {
                known.read_at = Instant::now();
            }
            due
        };
        if due {
            let file = self.file.clone();
            let loaded = tokio::task::spawn_blocking(move || load(&file)).await;
            match loaded.map_err(anyhow::Error::from).and_then(|loaded| loaded) {
                Ok(secrets) => self.known.lock().unwrap_or_else(PoisonError::into_inner).secrets = secrets,
                Err(error) => {
                    let error = format!("{error:#}");
                    tracing::error!(error, "the secrets of the webhook stay as they were");
                }
            }
        }
        Arc::clone(&self.known.lock().unwrap_or_else(PoisonError::into_inner).secrets)
    }
}

fn load(file: &Path) -> anyhow::Result<Arc<[SecretString]>> {
    let what = || format!("the secrets of the webhook, {}", file.display());
    let text = fs::read_to_string(file).with_context(what)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let secrets: Vec<_> = lines.map(SecretString::from).collect();
    ensure!((1..=MOST).contains(&secrets.len()), "{}: 1 to {MOST} secrets, one a line", what());
    let short = secrets.iter().any(|secret| secret.expose_secret().len() < SHORTEST);
    ensure!(!short, "{}: a secret has {SHORTEST} characters or more", what());
    Ok(secrets.into())
}

/// Whether it can be good at all, whatever the body: it is a signature, and of now.
pub(super) fn is_of_now(signature: &str) -> bool {
    of_now(signature, since_1970()).is_some()
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The time and the signatures, if it is about `now`.
fn of_now(header: &str, now: Duration) -> Option<(&str, Vec<[u8; 32]>)> {
    let (time, signatures) = parse(header)?;
    let seconds = time.parse().ok()?;
    (Duration::from_secs(seconds).abs_diff(now) <= TOLERANCE).then_some((time, signatures))
}

/// Whether one of the signatures in `header` is that of one of the secrets, and its time is about `now` (since 1970). How long
/// that takes tells nothing of how near a bad one is.
fn is_good(secrets: &[SecretString], header: &str, body: &[u8], now: Duration) -> bool {
    let Some((time, signatures)) = of_now(header, now) else { return false };
    secrets.iter().any(|secret| {
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else { return false };
        let mac = mac.chain_update(time).chain_update(".").chain_update(body);
        signatures.iter().any(|signature| mac.clone().verify_slice(signature).is_ok())
    })
}

/// The time, and the signatures.
fn parse(header: &str) -> Option<(&str, Vec<[u8; 32]>)> {
    let (mut time, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=')? {
            ("t", value) if time.is_none() => time = Some(value),
            ("v1", value) if signatures.len() < MOST => signatures.push(bytes(value)?),
            ("t" | "v1", _) => return None,
            _ => {} // a scheme of another time
        }
    }
    Some((time?, signatures))
}

/// 32 bytes in hex.
fn bytes(hex: &str) -> Option<[u8; 32]> {
    let digits: Vec<u8> =
        hex.chars().map(|digit| digit.to_digit(16)?.try_into().ok()).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    if digits.len() == 64 { bytes.try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000_000);

    fn secrets(all: &[&str]) -> Vec<SecretString> {
        all.iter().map(|&secret| SecretString::from(secret)).collect()
    }

    fn sign(secret: &str, time: u64, body: &str) -> String {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        let mac = mac.chain_update(format!("{time}.{body}")).finalize().into_bytes();
        mac.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
    }

    #[test]
    fn a_signature_is_good_with_any_of_the_secrets() {
        let known = secrets(&["the-old-secret-of-it", "the-new-secret-of-it"]);
        for secret in ["the-old-secret-of-it", "the-new-secret-of-it"] {
            let signature = sign(secret, NOW.as_secs(), "{}");
            assert!(is_good(&known, &format!("t=1700000000,v1={signature}"), b"{}", NOW));
            let other = "00".repeat(32);
            let several = format!("v0=x, v1={other}, t=1700000000, v1={}", signature.to_uppercase());
            assert!(is_good(&known, &several, b"{}", NOW));
        }
    }

    #[test]
    fn anything_else_is_not_good() {
        let known = secrets(&["the-new-secret-of-it"]);
        let good = sign("the-new-secret-of-it", NOW.as_secs(), "{}");
        let header = format!("t=1700000000,v1={good}");
        assert!(is_good(&known, &header, b"{}", NOW));
        assert!(!is_good(&known, &header, b"{ }", NOW), "another body");
        assert!(!is_good(&known, &header.replace("t=17", "t=18"), b"{}", NOW), "another time");
        assert!(!is_good(&secrets(&["the-old-secret-of-it"]), &header, b"{}", NOW), "another secret");
        for bad in [
            "",
            "t=1700000000",
            &*format!("v1={good}"),
            &*format!("t=1700000000,v1={}", &good[..62]),
            &*format!("t=1700000000,v1={good}00"),
            &*format!("t=1700000000,t=1700000000,v1={good}"),
            &*format!("t=soon,v1={good}"),
            &*format!("t=1700000000,v0={good}"),
            &*format!("t=1700000000,{}", format!("v1={good},").repeat(9)),
            "nonsense",
        ] {
            assert!(!is_good(&known, bad, b"{}", NOW), "{bad}");
        }
    }

    #[test]
    fn an_event_is_of_now_within_five_minutes() {
        let known = secrets(&["the-new-secret-of-it"]);
        for (offset, is_now) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
            let time = NOW.as_secs().checked_add_signed(offset).unwrap();
            let header = format!("t={time},v1={}", sign("the-new-secret-of-it", time, "{}"));
            assert_eq!(is_good(&known, &header, b"{}", NOW), is_now, "{offset}");
        }
    }
}
