//! Tokens of every algorithm, keys in a file and behind a URL, and how both change.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod authority;
mod following;
mod issuer;
mod over_tls;
mod signer;
mod signing;
