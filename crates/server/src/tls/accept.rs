//! The handshake with who connects to a port: with the certificate of the moment.

use std::{io, path::Path, sync::Arc};

use anyhow::Context as _;
use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{
    expiry::{self, Validity},
    follow::{Ends, Followed},
    pem::{self, Chain, Identity},
    provider,
    transport::Transport,
};

/// What of one connection may wait to be sent, before it is secured and after: a record each.
const BUFFER_BYTES: usize = 16 << 10;

/// Which port: they speak different protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// HTTP/2 alone. Clients may show certificates.
    Grpc,
    /// HTTP/1.1 alone. Nobody is asked for a certificate: browsers would bother people with it.
    Http,
}

/// How connections to each port are accepted.
pub(crate) struct Servers {
    grpc: Arc<ServerConfig>,
    http: Arc<ServerConfig>,
    validity: Validity,
}

impl Ends for Servers {
    fn validity(&self) -> Validity {
        self.validity
    }
}

impl Servers {
    /// Reads everything from its files.
    pub(crate) fn read(identity: &Identity, client_ca: Option<&Path>) -> anyhow::Result<Self> {
        let chain = identity.read()?;
        let validity = expiry::first_to_end(&chain.0)?;
        let clients = client_ca.map(pem::roots).transpose()?;
        let context = || format!("use the certificate {}", identity.cert.display());
        let copy = (chain.0.clone(), chain.1.clone_key());
        let grpc = config(Port::Grpc, copy, clients).with_context(context)?;
        let http = config(Port::Http, chain, None).with_context(context)?;
        Ok(Self { grpc, http, validity })
    }
}

fn config(
    port: Port,
    (chain, key): Chain,
    clients: Option<Arc<RootCertStore>>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let knows_clients = clients.is_some();
    let builder = match clients {
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
    if knows_clients {
        // A certificate is verified in a whole handshake only: a session that is taken up again would know one that has ended.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    config.alpn_protocols = match port {
        Port::Grpc => vec![b"h2".to_vec()],
        Port::Http => vec![b"http/1.1".to_vec()],
    };
    Ok(Arc::new(config))
}

/// Accepts what connects to one port.
#[derive(Clone, Debug)]
pub(crate) struct Acceptor {
    servers: Followed<Servers>,
    port: Port,
}

impl Acceptor {
    pub(crate) fn new(servers: Followed<Servers>, port: Port) -> Self {
        Self { servers, port }
    }

    pub(super) fn port(&self) -> Port {
        self.port
    }

    /// The handshake, with the certificate of this moment.
    pub(super) async fn accept(self, stream: TcpStream) -> io::Result<Transport> {
        let servers = self.servers.get();
        let config = match self.port {
            Port::Grpc => Arc::clone(&servers.grpc),
            Port::Http => Arc::clone(&servers.http),
        };
        drop(servers);
        let limit = |connection: &mut rustls::ServerConnection| {
            connection.set_buffer_limit(Some(BUFFER_BYTES));
        };
        let handshake = TlsAcceptor::from(config).accept_with(stream, limit);
        Ok(Transport::Secured(Box::new(handshake.await?)))
    }
}
