//! The links between the parts of a stack: who reaches whom at which address, through a proxy where the stack has them.

use std::net::SocketAddr;

use anyhow::Result;

use crate::port;
use crate::proxy::Proxy;

/// The name that callers from outside have in [`Link::from`].
pub const CLIENTS: &str = "clients";

/// One link, with the proxy that carries it.
#[derive(Debug)]
pub struct Link {
    from: String,
    to: String,
    proxy: Proxy,
}

impl Link {
    /// Puts a proxy in front of `upstream`.
    pub(crate) fn new(from: &str, to: &str, upstream: SocketAddr) -> Result<Self> {
        Ok(Self { from: from.to_owned(), to: to.to_owned(), proxy: Proxy::start(upstream)? })
    }

    /// Who calls: a service's name, or [`CLIENTS`].
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Who is called: a service's name, `postgres` or `rabbitmq`; in a cluster, `postgres-2`, `rabbitmq-1` and so on.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.to
    }

    /// Both: `reservation-2 -> catalog-2`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{} -> {}", self.from, self.to)
    }

    /// Its proxy.
    #[must_use]
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// The URL of the gRPC service behind it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The address to call.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        port::loopback(self.proxy.port())
    }
}
