//! An issuer of tokens for development and tests: a key in a folder, its JWK set beside it, and no server.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, anyhow};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::service::ServiceKind;

/// How long the services' own tokens live: longer than any stack.
const LIFE: Duration = Duration::from_hours(24 * 365);

/// An issuer, with a folder for its key and for what it issues.
pub struct TokenIssuer {
    dir: PathBuf,
    key: Ed25519KeyPair,
    key_id: String,
}

impl std::fmt::Debug for TokenIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenIssuer").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl TokenIssuer {
    /// What its tokens say of whom they are.
    pub const ISSUER: &'static str = "holdfast-development";
    /// Whom they are for.
    pub const AUDIENCE: &'static str = "holdfast";

    /// The issuer of this folder: a new one, where there is none yet.
    pub fn open(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let path = dir.join("key.der");
        if !path.exists() {
            let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
            write(&path, made.map_err(|_| anyhow!("make a key"))?.as_ref())?;
        }
        let bytes = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let key = Ed25519KeyPair::from_pkcs8(&bytes);
        let key = key.map_err(|error| anyhow!("{} is no key: {error}", path.display()))?;
        let x = BASE64_URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        let key_id = x[..8].to_owned();
        let issuer = Self { dir: dir.to_owned(), key, key_id };
        if !issuer.jwks().exists() {
            issuer.publish(&[])?;
        }
        Ok(issuer)
    }

    /// The file with its keys.
    #[must_use]
    pub fn jwks(&self) -> PathBuf {
        self.dir.join("jwks.json")
    }

    /// Its key as others may know it: a JWK.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.key.public_key().as_ref());
        json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.key_id, "x": x })
    }

    /// Writes the file with its keys: its own, and these.
    pub fn publish(&self, others: &[Value]) -> Result<()> {
        let keys: Vec<Value> = [self.jwk()].into_iter().chain(others.iter().cloned()).collect();
        write(&self.jwks(), json!({ "keys": keys }).to_string().as_bytes())
    }

    /// A token of this subject and role, for so long.
    #[must_use]
    pub fn token(&self, subject: &str, role: &str, life: Duration) -> String {
        self.sign(&json!({ "sub": subject, "role": role, "exp": now() + life.as_secs() }))
    }

    /// A token with these claims, and those of the issuer where they are not among them.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let mut all = json!({ "iss": Self::ISSUER, "aud": Self::AUDIENCE, "iat": now() });
        if let (Some(all), Some(claims)) = (all.as_object_mut(), claims.as_object()) {
            all.extend(claims.clone());
        }
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": self.key_id });
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&all));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()));
        format!("{signed}.{signature}")
    }

    /// A file with a token for a program that is part of Holdfast.
    pub fn service_token(&self, name: &str) -> Result<PathBuf> {
        let path = self.token_file(name);
        write(&path, self.token(name, "service", LIFE).as_bytes())?;
        Ok(path)
    }

    fn token_file(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.token"))
    }

    /// What a service is to know, which has its token already: whom to believe, and what to show.
    pub(crate) fn env(&self, kind: ServiceKind) -> Vec<(String, String)> {
        let mut env = Vec::new();
        let mut set = |name: &str, value: &str| env.push((name.to_owned(), value.to_owned()));
        if kind != ServiceKind::Expirer {
            set("HOLDFAST_AUTH_JWKS", &self.jwks().to_string_lossy());
            set("HOLDFAST_AUTH_ISSUER", Self::ISSUER);
            set("HOLDFAST_AUTH_AUDIENCE", Self::AUDIENCE);
        }
        if kind != ServiceKind::Catalog {
            set("HOLDFAST_TOKEN_FILE", &self.token_file(kind.name()).to_string_lossy());
        }
        env
    }
}

/// Writes a file that nobody else may read, at once.
fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let context = || format!("write {}", path.display());
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    let mut file =
        options.create(true).write(true).truncate(true).mode(0o600).open(&draft).with_context(context)?;
    file.write_all(bytes).with_context(context)?;
    fs::rename(&draft, path).with_context(context)
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}
