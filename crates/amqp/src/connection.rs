//! One connection to RabbitMQ that is made again whenever it is lost, for ever; to a cluster, with the next of its nodes.

use std::{io, sync::Arc, time::Duration};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use futures::StreamExt as _;
use lapin::{Channel, Connection, ConnectionProperties, Event, runtime::default_runtime, uri::AMQPUri};
use tokio::{sync::watch, task::spawn_blocking, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{AmqpConfig, AmqpTls, ConfigError, Deliveries, Depths, Error, Lanes, Publisher, topology};

/// How long a connection or a consumer, with the declarations, may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often a connection is looked at whose end may have gone unnoticed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How long a farewell may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The delay before the second try; it doubles up to [`MAX_DELAY`], with as much again by chance.
const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(3);

/// Whether there is a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// There is, and everything is declared.
    Up,
    /// There is none, and why. One is being made.
    Down(String),
}

/// A node of RabbitMQ, as the URL names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) host: String,
    pub(crate) port: u16,
}

/// A connection, and to which node.
#[derive(Clone, Debug)]
struct Link {
    connection: Arc<Connection>,
    node: Arc<Node>,
}

/// The way to RabbitMQ. Clones share the connection. Publish and consume on separate ones: RabbitMQ, when short of memory,
/// stops reading from connections that publish, and acknowledgements would get stuck with them.
#[derive(Clone, Debug)]
pub struct Broker {
    lanes: Arc<Lanes>,
    state: watch::Receiver<LinkState>,
    link: watch::Receiver<Option<Link>>,
}

impl Broker {
    /// Starts connecting, and returns at once. `name` is what RabbitMQ and the log call the connection. It ends, with a
    /// farewell, on `stop`: cancel that after everything that publishes or consumes. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// A URL is malformed.
    pub fn start(name: &str, config: &AmqpConfig, stop: CancellationToken) -> Result<Self, ConfigError> {
        let (state, state_watch) = watch::channel(LinkState::Down("not reached yet".to_owned()));
        let (link, link_watch) = watch::channel(None);
        let lanes = Arc::new(config.lanes());
        let supervisor = Supervisor {
            name: name.to_owned(),
            uris: config.uris()?,
            tls: config.tls.clone(),
            lanes: Arc::clone(&lanes),
            state,
            link,
        };
        tokio::spawn(supervisor.run(stop));
        Ok(Self { lanes, state: state_watch, link: link_watch })
    }

    /// The lanes that timers are parked in.
    #[must_use]
    pub fn lanes(&self) -> &Lanes {
        &self.lanes
    }

    /// Whether there is a connection, and every change of that.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LinkState> {
        self.state.clone()
    }

    /// Waits until there is a connection; for ever, if there never is one.
    pub async fn up(&self) {
        let mut state = self.state.clone();
        if state.wait_for(|state| *state == LinkState::Up).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until nobody makes connections any more: after the stop, or by a defect.
    pub async fn ended(self) {
        let mut state = self.state;
        while state.changed().await.is_ok() {}
    }

    /// Something to publish with. Each has a channel of its own.
    #[must_use]
    pub fn publisher(&self) -> Publisher {
        Publisher::new(self.clone())
    }

    /// Something to look at the queues with.
    #[must_use]
    pub fn depths(&self) -> Depths {
        Depths::new(self.clone())
    }

    /// Starts to take messages from `queue`, of which at most `prefetch` are unacknowledged at any time.
    pub async fn consume(&self, queue: &str, prefetch: u16) -> Result<Deliveries, Error> {
        let start = async {
            let channel = self.channel().await?;
            Deliveries::start(channel, self.node(), queue, prefetch).await
        };
        timeout(CONNECT_TIMEOUT, start).await.unwrap_or(Err(Error::Timeout(CONNECT_TIMEOUT)))
    }

    /// Opens a channel. Everything is declared again first, so that what somebody deleted comes back.
    pub(crate) async fn channel(&self) -> Result<Channel, Error> {
        let link = self.link.borrow().clone();
        let Some(Link { connection, .. }) = link else { return Err(Error::Down(self.reason())) };
        if connection.status().blocked() {
            return Err(Error::Blocked);
        }
        let channel = connection.create_channel().await?;
        topology::declare(&channel, &self.lanes).await?;
        Ok(channel)
    }

    /// Whether RabbitMQ, low on memory or disk, has said that it takes no messages.
    pub(crate) fn is_blocked(&self) -> bool {
        self.link.borrow().as_ref().is_some_and(|link| link.connection.status().blocked())
    }

    /// The node that there is a connection to.
    pub(crate) fn node(&self) -> Option<Arc<Node>> {
        self.link.borrow().as_ref().map(|link| Arc::clone(&link.node))
    }

    fn reason(&self) -> String {
        match &*self.state.borrow() {
            LinkState::Up => "the connection was just lost".to_owned(),
            LinkState::Down(reason) => reason.clone(),
        }
    }
}

/// Makes the connection, again and again, and says how it is.
struct Supervisor {
    name: String,
    /// Of the nodes, to be tried in turn.
    uris: Vec<AMQPUri>,
    tls: AmqpTls,
    lanes: Arc<Lanes>,
    state: watch::Sender<LinkState>,
    link: watch::Sender<Option<Link>>,
}

impl Supervisor {
    async fn run(self, stop: CancellationToken) {
        let mut delays = delays();
        for uri in self.uris.iter().cycle() {
            let attempt = tokio::select! {
                attempt = timeout(CONNECT_TIMEOUT, self.connect(uri)) => attempt,
                () = stop.cancelled() => return,
            };
            match attempt.unwrap_or(Err(Error::Timeout(CONNECT_TIMEOUT))) {
                Ok(connection) => {
                    delays = self::delays();
                    let connection = Arc::new(connection);
                    let node = Node { host: uri.authority.host.clone(), port: uri.authority.port };
                    let link = Link { connection: Arc::clone(&connection), node: Arc::new(node) };
                    self.link.send_replace(Some(link));
                    self.say(LinkState::Up);
                    let lost = tokio::select! {
                        reason = self.loss(&connection) => reason,
                        () = stop.cancelled() => return self.part(&connection).await,
                    };
                    self.link.send_replace(None);
                    self.say(LinkState::Down(lost));
                }
                Err(error) => self.say(LinkState::Down(with_causes(&error))),
            }
            let delay = delays.next().unwrap_or(MAX_DELAY);
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    async fn connect(&self, uri: &AMQPUri) -> Result<Connection, Error> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        let tls = self.tls.clone();
        // Files may be slow. A panic there would be one of the runtime's.
        let tls = spawn_blocking(move || tls.read()).await.map_err(io::Error::other)??;
        let runtime = default_runtime()?;
        let connection = Connection::connect_uri_with_config(uri.clone(), properties, tls, runtime).await?;
        let channel = connection.create_channel().await?;
        topology::declare(&channel, &self.lanes).await?;
        Ok(connection)
    }

    /// Waits until the connection is lost, and says why.
    async fn loss(&self, connection: &Connection) -> String {
        let mut events = std::pin::pin!(connection.events_listener());
        let mut reason = "it ended without a word".to_owned();
        while connection.status().connected() {
            match timeout(LOOK_INTERVAL, events.next()).await {
                Ok(Some(Event::Error(error))) => reason = error.to_string(),
                Ok(Some(Event::ConnectionBlocked(cause))) => {
                    tracing::warn!(connection = self.name, cause, "RabbitMQ accepts no messages for now");
                }
                Ok(Some(Event::ConnectionUnblocked)) => {
                    tracing::info!(connection = self.name, "RabbitMQ accepts messages again");
                }
                Ok(None) => break,
                Ok(Some(_)) | Err(_) => {}
            }
        }
        reason
    }

    async fn part(&self, connection: &Connection) {
        self.link.send_replace(None);
        self.state.send_replace(LinkState::Down("stopped".to_owned()));
        // Best effort: the process ends, and RabbitMQ notices that as well.
        let _ = timeout(CLOSE_TIMEOUT, connection.close(200, "OK".into())).await;
    }

    /// One line for each change.
    fn say(&self, state: LinkState) {
        self.state.send_if_modified(|last| {
            let changed = *last != state;
            if changed {
                match &state {
                    LinkState::Up => tracing::info!(connection = self.name, "connected to RabbitMQ"),
                    LinkState::Down(reason) => {
                        tracing::warn!(
                            connection = self.name,
                            reason,
                            "no connection to RabbitMQ; trying again"
                        );
                    }
                }
                *last = state;
            }
            changed
        });
    }
}

fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::new()
        .with_min_delay(MIN_DELAY)
        .with_max_delay(MAX_DELAY)
        .without_max_times()
        .with_jitter()
        .build()
}

/// An error with its causes, in one line.
fn with_causes(error: &Error) -> String {
    match error {
        Error::Conversation(cause) => cause.to_string(),
        other => other.to_string(),
    }
}
