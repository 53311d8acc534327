//! Handshakes with those who connect: beside each other, within a time, and no more than so many.

use std::{collections::VecDeque, io, path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use futures::{Stream, StreamExt as _, stream};
use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio::{
    net::TcpStream,
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep_until, timeout},
};
use tokio_rustls::TlsAcceptor;

use super::{
    expiry::{self, Validity},
    follow::{Ends, Followed},
    pem::{self, Chain, Identity},
    provider,
    transport::Transport,
};

/// How long a handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Handshakes under way at a time. One more takes the place of the oldest, so that who is slow keeps nobody out...
const HANDSHAKES: usize = 256;
/// ... once that has had so long: who comes meanwhile waits in the backlog. Else many who come at once would only end each other.
const UNDISTURBED: Duration = Duration::from_secs(1);
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
    oldest: VecDeque<Handshake>,
}

struct Handshake {
    since: Instant,
    task: AbortHandle,
}

impl<S: Stream<Item = io::Result<TcpStream>> + Unpin> Door<S> {
    async fn next(&mut self) -> Option<io::Result<Transport>> {
        loop {
            let opens_at = self.opens_at();
            let incoming = async {
                if let Some(opens_at) = opens_at {
                    sleep_until(opens_at).await;
                }
                self.incoming.next().await
            };
            tokio::select! {
                Some(done) = self.under_way.join_next() => {
                    if let Ok(Some(transport)) = done {
                        return Some(Ok(transport));
                    }
                }
                next = incoming => match (next?, self.acceptor.clone()) {
                    (Ok(stream), Some(acceptor)) => self.begin(acceptor, stream),
                    (next, _) => return Some(next.map(Transport::Plain)),
                },
            }
        }
    }

    /// From when on one more may begin, unless that is now.
    fn opens_at(&mut self) -> Option<Instant> {
        if self.oldest.len() >= HANDSHAKES {
            self.oldest.retain(|handshake| !handshake.task.is_finished());
        }
        let full = self.oldest.len() >= HANDSHAKES;
        self.oldest.front().filter(|_| full).map(|oldest| oldest.since + UNDISTURBED)
    }

    fn begin(&mut self, acceptor: Acceptor, stream: TcpStream) {
        self.add(async move {
            let (peer, port) = (stream.peer_addr().ok(), acceptor.port);
            match acceptor.accept(stream).await {
                Ok(transport) => Some(transport),
                Err(error) => {
                    // Whoever connects can cause it.
                    tracing::debug!(%error, ?peer, ?port, "a handshake failed");
                    None
                }
            }
        });
    }

    /// The oldest makes place for it where there is none.
    fn add(&mut self, handshake: impl Future<Output = Option<Transport>> + Send + 'static) {
        if self.oldest.len() >= HANDSHAKES
            && let Some(oldest) = self.oldest.pop_front()
        {
            oldest.task.abort();
        }
        self.oldest.push_back(Handshake { since: Instant::now(), task: self.under_way.spawn(handshake) });
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use tokio::{task::yield_now, time::advance};

    use super::*;

    type Nobody = stream::Empty<io::Result<TcpStream>>;

    fn door() -> Door<Nobody> {
        Door { incoming: stream::empty(), acceptor: None, under_way: JoinSet::new(), oldest: VecDeque::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_makes_place_once_it_has_had_its_time_and_not_before() {
        let mut door = door();
        for _ in 0..HANDSHAKES {
            assert_eq!(door.opens_at(), None);
            door.add(pending());
        }
        let opens_at = door.opens_at();
        assert_eq!(opens_at, Some(Instant::now() + UNDISTURBED));
        advance(UNDISTURBED).await;
        door.add(pending());
        assert_eq!(door.opens_at(), opens_at, "the next one has had its time as well");
        let ended = door.under_way.join_next().await.unwrap();
        assert!(ended.unwrap_err().is_cancelled());
        assert_eq!(door.under_way.len(), HANDSHAKES);
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_that_are_done_take_no_place() {
        let mut door = door();
        door.add(pending());
        for _ in 0..HANDSHAKES * 2 {
            assert_eq!(door.opens_at(), None);
            door.add(ready(None));
            yield_now().await;
        }
        let (mut done, start) = (0, Instant::now());
        while door.under_way.len() > 1 {
            assert!(door.under_way.join_next().await.unwrap().is_ok(), "none was ended");
            done += 1;
        }
        assert_eq!((done, start.elapsed()), (HANDSHAKES * 2, Duration::ZERO));
    }
}
