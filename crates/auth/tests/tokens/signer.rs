//! Keys of issuers, and tokens signed with them.

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use auth::Algorithm;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    rsa::PublicKeyComponents,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use serde_json::{Value, json};

/// The key of these tests, and of nothing else.
const RSA: &[u8] = include_bytes!("../keys/rsa.p8");

pub(crate) const ISSUER: &str = "https://issuer.example";

enum Key {
    Rsa(Box<RsaKeyPair>, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

pub(crate) struct Signer {
    id: String,
    algorithm: Algorithm,
    key: Key,
}

impl Signer {
    pub(crate) fn new(id: &str, algorithm: Algorithm) -> Self {
        let rsa = |encoding| Key::Rsa(Box::new(RsaKeyPair::from_pkcs8(RSA).unwrap()), encoding);
        let key = match algorithm {
            Algorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::Rs384 => rsa(&RSA_PKCS1_SHA384),
            Algorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa(&RSA_PSS_SHA256),
            Algorithm::Ps384 => rsa(&RSA_PSS_SHA384),
            Algorithm::Ps512 => rsa(&RSA_PSS_SHA512),
            Algorithm::Es256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"),
            Algorithm::Es384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"),
            Algorithm::EdDsa => {
                let made = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
                Key::Ed(Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap())
            }
        };
        Self { id: id.to_owned(), algorithm, key }
    }

    pub(crate) fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.key {
            Key::Rsa(key, _) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                json!({ "kty": "RSA", "n": encode(&n), "e": encode(&e) })
            }
            Key::Ecdsa(key, curve) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(key.public_key().as_ref().len() / 2);
                json!({ "kty": "EC", "crv": curve, "x": encode(x), "y": encode(y) })
            }
            Key::Ed(key) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref()) }),
        };
        jwk["kid"] = json!(self.id);
        jwk
    }

    /// A token of `ada`, an operator, for an hour, signed as is said here.
    pub(crate) fn token(&self) -> String {
        self.sign(self.algorithm.as_str(), &claims())
    }

    /// The same, which does not say which key signed it.
    pub(crate) fn token_without_id(&self) -> String {
        self.sign_under(&json!({ "alg": self.algorithm.as_str() }), &claims())
    }

    pub(crate) fn sign(&self, algorithm: &str, claims: &Value) -> String {
        self.sign_under(&json!({ "alg": algorithm, "kid": self.id }), claims)
    }

    fn sign_under(&self, header: &Value, claims: &Value) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let (message, random) = (signed.as_bytes(), SystemRandom::new());
        let signature = match &self.key {
            Key::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &random, message, &mut signature).unwrap();
                signature
            }
            Key::Ecdsa(key, _) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Key::Ed(key) => key.sign(message).as_ref().to_vec(),
        };
        format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Key {
    let random = SystemRandom::new();
    let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    Key::Ecdsa(EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).unwrap(), curve)
}

pub(crate) fn claims() -> Value {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    json!({ "iss": ISSUER, "aud": "holdfast", "sub": "ada", "role": "operator", "exp": now + 3_600 })
}

pub(crate) fn set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// A file with keys, which goes with the test.
pub(crate) struct KeyFile(pub(crate) PathBuf);

impl KeyFile {
    pub(crate) fn new(content: &str) -> Self {
        let file = Self(env::temp_dir().join(format!("holdfast-keys-{}.json", uuid::Uuid::new_v4())));
        file.write(content);
        file
    }

    pub(crate) fn write(&self, content: &str) {
        let draft = self.0.with_extension("new");
        fs::write(&draft, content).unwrap();
        fs::rename(&draft, &self.0).unwrap();
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for KeyFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
