//! Blocking connections to loopback ports that speak TLS: for the stack's own questions.

use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::Arc;

use anyhow::Result;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// A connection that is secured once something is read or written.
pub(crate) type Secured = StreamOwned<ClientConnection, TcpStream>;

/// Talks TLS over a connection to 127.0.0.1.
pub(crate) fn secure(config: &Arc<ClientConfig>, stream: TcpStream) -> Result<Secured> {
    let name = ServerName::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    Ok(StreamOwned::new(ClientConnection::new(Arc::clone(config), name)?, stream))
}
