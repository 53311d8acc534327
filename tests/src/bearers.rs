//! Callers who say who they are: a stack that asks for it, and tokens.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{rsa::PublicKeyComponents, signature::RsaKeyPair};
use serde_json::{Value, json};
use stack::{Options, Stack, TokenIssuer};
use tonic::{
    Request,
    metadata::{Ascii, MetadataValue},
};

/// The key of tests, and of nothing else.
const RSA: &[u8] = include_bytes!("../../crates/auth/tests/keys/rsa.p8");

/// Where callers have to say who they are; it logs all that it can. It ends with the process.
static ASKING: LazyLock<Stack> = LazyLock::new(|| {
    let options = Options { auth: true, ..Options::default() }.env("HOLDFAST_LOG", "debug");
    let stack = Stack::start(options).expect("the stack that asks starts");
    publish(&stack, &[]);
    stack
});

/// The stack that is shared by tests whose callers say who they are.
#[must_use]
pub fn asking() -> &'static Stack {
    &ASKING
}

/// Whom that stack believes.
#[must_use]
pub fn issuer() -> &'static TokenIssuer {
    issuer_of(asking())
}

fn issuer_of(stack: &Stack) -> &TokenIssuer {
    stack.issuer().expect("it was asked for")
}

/// Lets the stack believe these keys too, beside its own and that of [`rsa_key`].
pub fn publish(stack: &Stack, keys: &[Value]) {
    let keys: Vec<Value> = [rsa_key()].into_iter().chain(keys.iter().cloned()).collect();
    issuer_of(stack).publish(&keys).expect("the keys can be written");
}

/// An RSA key that the stack believes, as everybody may know it.
#[must_use]
pub fn rsa_key() -> Value {
    let pair = RsaKeyPair::from_pkcs8(RSA).expect("it is a key");
    let PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
    let encode = |bytes: Vec<u8>| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({ "kty": "RSA", "use": "sig", "kid": "rsa", "n": encode(n), "e": encode(e) })
}

/// A token of this subject and role for the shared stack that asks.
#[must_use]
pub fn token(subject: &str, role: &str) -> String {
    issuer().token(subject, role, Duration::from_hours(1))
}

/// A request that shows a token.
#[must_use]
pub fn bearing<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer(token));
    request
}

/// The header that shows a token.
#[must_use]
pub fn bearer(token: &str) -> MetadataValue<Ascii> {
    format!("Bearer {token}").parse().expect("a token is a header")
}
