//! Where a process listens: bound already, and in plain text or with certificates.

use std::{io, net::SocketAddr};

use anyhow::Context as _;
use tokio::net::TcpListener;

use crate::tls::{Acceptor, Port, TlsConfig};

/// A port that is bound.
#[derive(Debug)]
pub struct Listener {
    pub(crate) tcp: TcpListener,
    /// None: plain text.
    pub(crate) acceptor: Option<Acceptor>,
}

impl Listener {
    /// Binds the address where health and metrics are served over HTTP. Call it inside the runtime.
    ///
    /// # Errors
    /// The address cannot be bound, or the certificates make no sense.
    pub async fn bind(address: SocketAddr, tls: &TlsConfig) -> anyhow::Result<Self> {
        let servers = tls.servers()?;
        let acceptor = servers.map(|servers| Acceptor::new(servers, Port::Http));
        Ok(Self { tcp: bind("HTTP", address).await?, acceptor })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

impl From<TcpListener> for Listener {
    /// In plain text.
    fn from(tcp: TcpListener) -> Self {
        Self { tcp, acceptor: None }
    }
}

/// Where a service listens. Tests use port 0.
#[derive(Debug)]
pub struct Endpoints {
    /// For gRPC.
    pub grpc: Listener,
    /// For health and metrics, and for what else there is, over HTTP.
    pub http: Listener,
}

impl Endpoints {
    /// Binds both addresses. Call it inside the runtime.
    ///
    /// # Errors
    /// An address cannot be bound, or the certificates make no sense.
    pub async fn bind(grpc: SocketAddr, http: SocketAddr, tls: &TlsConfig) -> anyhow::Result<Self> {
        let servers = tls.servers()?;
        let acceptor = |port| servers.clone().map(|servers| Acceptor::new(servers, port));
        Ok(Self {
            grpc: Listener { tcp: bind("gRPC", grpc).await?, acceptor: acceptor(Port::Grpc) },
            http: Listener { tcp: bind("HTTP", http).await?, acceptor: acceptor(Port::Http) },
        })
    }
}

async fn bind(what: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| format!("bind the {what} address {address}"))
}
