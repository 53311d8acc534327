//! Handshakes with those who connect: beside each other, within a time, and no more than so many.

use std::{collections::VecDeque, io, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _, stream};
use rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier};
use tokio::{
    net::TcpStream,
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    expiry,
    follow::{Ends, Followed},
    pem::{self, Chain, Identity},
    provider,
    transport::Transport,
};

/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Handshakes under way at a time. One more takes the place of the oldest: who is slow keeps nobody out.
const HANDSHAKES: usize = 128;
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
    ends_at: i64,
}

impl Ends for Servers {
    fn ends_at(&self) -> i64 {
        self.ends_at
    }
}

impl Servers {
    /// Reads everything from its files.
    pub(crate) fn read(identity: &Identity, client_ca: Option<&Path>) -> anyhow::Result<Self> {
        let chain = identity.read()?;
        let ends_at = expiry::first_end(&chain.0)?;
        let clients = client_ca.map(pem::roots).transpose()?;
        let context = || format!("use the certificate {}", identity.cert.display());
        let copy = (chain.0.clone(), chain.1.clone_key());
        let grpc = config(Port::Grpc, copy, clients).with_context(context)?;
        let http = config(Port::Http, chain, None).with_context(context)?;
        Ok(Self { grpc, http, ends_at })
    }
}

fn config(
    port: Port,
    (chain, key): Chain,
    clients: Option<Arc<RootCertStore>>,
) -> anyhow::Result<Arc<ServerConfig>> {
    let builder = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
            builder.with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key)?;
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

    /// The handshake, with the certificate of this moment.
    async fn accept(self, stream: TcpStream) -> io::Result<Transport> {
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
        let secured = timeout(HANDSHAKE_LIMIT, handshake).await.map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(Transport::Secured(Box::new(secured)))
    }
}

/// Connections that are ready to be talked over: as they come without an acceptor, else each after its handshake.
pub(crate) fn secured<S>(incoming: S, acceptor: Option<Acceptor>) -> impl Stream<Item = io::Result<Transport>>
where
    S: Stream<Item = io::Result<TcpStream>> + Unpin,
{
    let door = Door { incoming, acceptor, under_way: JoinSet::new(), oldest: VecDeque::new() };
    stream::unfold(door, async |mut door| door.next().await.map(|next| (next, door)))
}

struct Door<S> {
    incoming: S,
    acceptor: Option<Acceptor>,
    /// Handshakes: none of what failed.
    under_way: JoinSet<Option<Transport>>,
    /// The same, the oldest first.
    oldest: VecDeque<AbortHandle>,
}

impl<S: Stream<Item = io::Result<TcpStream>> + Unpin> Door<S> {
    async fn next(&mut self) -> Option<io::Result<Transport>> {
        loop {
            tokio::select! {
                Some(done) = self.under_way.join_next() => {
                    if let Ok(Some(transport)) = done {
                        return Some(Ok(transport));
                    }
                }
                next = self.incoming.next() => match (next?, self.acceptor.clone()) {
                    (Ok(stream), Some(acceptor)) => self.begin(acceptor, stream),
                    (next, _) => return Some(next.map(Transport::Plain)),
                },
            }
        }
    }

    fn begin(&mut self, acceptor: Acceptor, stream: TcpStream) {
        if self.oldest.len() >= HANDSHAKES {
            self.oldest.retain(|handshake| !handshake.is_finished());
        }
        if self.oldest.len() >= HANDSHAKES
            && let Some(oldest) = self.oldest.pop_front()
        {
            oldest.abort();
        }
        let handshake = async move {
            let (peer, port) = (stream.peer_addr().ok(), acceptor.port);
            match acceptor.accept(stream).await {
                Ok(transport) => Some(transport),
                Err(error) => {
                    // Whoever connects can cause it.
                    tracing::debug!(%error, ?peer, ?port, "a handshake failed");
                    None
                }
            }
        };
        self.oldest.push_back(self.under_way.spawn(handshake));
    }
}
