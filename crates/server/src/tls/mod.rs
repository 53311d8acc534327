//! TLS on both ports and towards other services: certificates by file, followed while the process runs.
//!
//! rustls with ring, and nothing else. Whoever changes a file changes what the next connection gets; connections that are there
//! stay as they are. What a certificate permits is for others: here it is verified, and its names are handed on.

mod accept;
mod config;
mod connect;
mod door;
mod expiry;
mod follow;
mod peer;
mod pem;
mod transport;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub(crate) use accept::{Acceptor, Port};
pub use config::{CallsConfig, TlsConfig};
pub use connect::Dialer;
pub(crate) use connect::unverified;
pub(crate) use door::secured;
pub use peer::{Name, Peer, PeerCertificate};
pub(crate) use transport::Transport;

/// The one that does all cryptography.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
