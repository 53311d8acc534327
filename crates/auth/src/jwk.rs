//! The issuer's keys: a JWK set (RFC 7517, RFC 7518 section 6, RFC 8037), of which the keys are taken that can check signatures.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};
use serde::Deserialize;
use serde_json::Value;

use crate::Algorithm;

/// The most keys of a set.
const MAX_KEYS: usize = 32;

/// Keys that cannot be taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeysError {
    /// It is no JWK set.
    #[error("it is no JWK set")]
    Malformed(#[source] serde_json::Error),
    /// There are too many.
    #[error("it has {0} keys, more than {MAX_KEYS}")]
    TooMany(usize),
}

/// The keys of an issuer.
#[derive(Debug)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    /// Keys of the set that are of no use here.
    pub(crate) left_out: usize,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Key {
    id: Option<String>,
    /// What it is for alone, if it says so.
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Debug, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Deserialize)]
struct RawSet {
    keys: Vec<Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: String,
    n: String,
    e: String,
    x: String,
    y: String,
}

impl Keys {
    /// Reads a set. Keys for other purposes, of unknown kinds, and shared secrets above all, are left out; it may be that none
    /// is left.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, KeysError> {
        let RawSet { keys: raw } = serde_json::from_slice(text).map_err(KeysError::Malformed)?;
        if raw.len() > MAX_KEYS {
            return Err(KeysError::TooMany(raw.len()));
        }
        let count = raw.len();
        let keys: Vec<Key> = raw.into_iter().filter_map(Key::parse).collect();
        Ok(Self { left_out: count - keys.len(), keys })
    }

    /// Whether there is none that can check a signature.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that may have signed a token of this algorithm: those of the id that it names, or any where it names none.
    pub(crate) fn of<'a>(
        &'a self,
        id: Option<&'a str>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'a Key> {
        self.keys.iter().filter(move |key| {
            (id.is_none() || key.id.as_deref() == id)
                && key.algorithm.is_none_or(|only| only == algorithm)
                && key.material.fits(algorithm)
        })
    }
}

impl Key {
    fn parse(raw: Value) -> Option<Self> {
        let raw: Raw = serde_json::from_value(raw).ok()?;
        let verifies = raw.key_ops.as_ref().is_none_or(|uses| uses.iter().any(|name| name == "verify"));
        if raw.purpose.as_deref().is_some_and(|purpose| purpose != "sig") || !verifies {
            return None;
        }
        let algorithm = match &raw.alg {
            Some(name) => Some(Algorithm::parse(name)?),
            None => None,
        };
        let material = Material::of(&raw)?;
        let fits = algorithm.is_none_or(|algorithm| material.fits(algorithm));
        fits.then_some(Self { id: raw.kid, algorithm, material })
    }

    /// Whether the signature is of this message, by this key. The key must be one for the algorithm.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let plain = |algorithm: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
        };
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, _) => rsa(algorithm)
                .is_some_and(|rsa| RsaPublicKeyComponents { n, e }.verify(rsa, message, signature).is_ok()),
            (Material::P256(point), Algorithm::Es256) => plain(&ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), Algorithm::Es384) => plain(&ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(point), Algorithm::EdDsa) => plain(&ED25519, point),
            (Material::P256(_) | Material::P384(_) | Material::Ed25519(_), _) => false,
        }
    }
}

impl Material {
    fn of(raw: &Raw) -> Option<Self> {
        match (raw.kty.as_str(), raw.crv.as_str()) {
            ("RSA", _) => {
                let (n, e) = (number(&raw.n)?, number(&raw.e)?);
                // Fewer bits are no longer safe; more cost too much. As the algorithms' limits below.
                (256..=1_024).contains(&n.len()).then_some(Self::Rsa { n, e })
            }
            ("EC", "P-256") => Some(Self::P256(point(raw, 32)?)),
            ("EC", "P-384") => Some(Self::P384(point(raw, 48)?)),
            ("OKP", "Ed25519") => Some(Self::Ed25519(bytes(&raw.x).filter(|x| x.len() == 32)?)),
            _ => None,
        }
    }

    /// Whether such a key has signatures of this algorithm.
    fn fits(&self, algorithm: Algorithm) -> bool {
        match self {
            Self::Rsa { .. } => rsa(algorithm).is_some(),
            Self::P256(_) => algorithm == Algorithm::Es256,
            Self::P384(_) => algorithm == Algorithm::Es384,
            Self::Ed25519(_) => algorithm == Algorithm::EdDsa,
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => None,
    }
}

/// A point of a curve, uncompressed.
fn point(raw: &Raw, length: usize) -> Option<Vec<u8>> {
    let (x, y) = (bytes(&raw.x)?, bytes(&raw.y)?);
    (x.len() == length && y.len() == length).then(|| [&[4][..], &x, &y].concat())
}

/// A number without leading zeros.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = bytes(text)?;
    let start = bytes.iter().position(|byte| *byte != 0)?;
    Some(bytes[start..].to_vec())
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 8037, appendix A.2.
    const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn parse(keys: &Value) -> Result<Keys, KeysError> {
        Keys::parse(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn keys_are_found_by_their_id_and_what_they_are_for() {
        let ed = |kid: &str| json!({ "kty": "OKP", "crv": "Ed25519", "x": ED, "kid": kid, "use": "sig" });
        let keys = parse(&json!([ed("one"), ed("two")])).unwrap();
        assert_eq!(keys.of(Some("one"), Algorithm::EdDsa).count(), 1);
        assert_eq!(keys.of(None, Algorithm::EdDsa).count(), 2);
        assert_eq!(keys.of(Some("three"), Algorithm::EdDsa).count(), 0);
        assert_eq!(keys.of(Some("one"), Algorithm::Es256).count(), 0);
    }

    #[test]
    fn what_is_of_no_use_is_left_out() {
        let good = json!({ "kty": "OKP", "crv": "Ed25519", "x": ED });
        let mut bad = Vec::new();
        for (name, value) in [
            ("use", json!("enc")),
            ("key_ops", json!(["sign"])),
            ("alg", json!("RS256")),
            ("alg", json!("HS256")),
            ("x", json!("AAAA")),
            ("x", json!("not base64!")),
            ("crv", json!("X25519")),
            ("kty", json!("oct")),
        ] {
            let mut key = good.clone();
            key[name] = value;
            bad.push(key);
        }
        bad.push(json!({ "kty": "RSA", "n": "AQAB", "e": "AQAB" }));
        bad.push(json!({ "kty": "oct", "k": "c2VjcmV0" }));
        bad.push(json!("nonsense"));
        for key in &bad {
            assert!(parse(&json!([key])).is_ok_and(|keys| keys.is_empty() && keys.left_out == 1), "{key}");
        }
        let count = bad.len();
        bad.push(good);
        let keys = parse(&json!(bad)).unwrap();
        assert_eq!((keys.len(), keys.left_out), (1, count));
    }

    #[test]
    fn a_set_that_is_none_or_too_large_is_an_error_and_an_empty_one_is_not() {
        for text in ["", "[]", "{}", r#"{"keys": 1}"#] {
            assert!(matches!(Keys::parse(text.as_bytes()), Err(KeysError::Malformed(_))), "{text}");
        }
        assert!(parse(&json!([])).is_ok_and(|keys| keys.is_empty()));
        assert!(matches!(parse(&json!(vec![0; MAX_KEYS + 1])), Err(KeysError::TooMany(_))));
    }
}
