//! What can be broken, and how.

use serde::Serialize;
use stack::Weather;

/// One fault: of a service or a link by its place in the stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// A service is killed (SIGKILL) and started again.
    Kill(usize),
    /// A service is asked to stop (SIGTERM), drains, and is started again.
    Terminate(usize),
    /// A service stands still (SIGSTOP) and goes on, past many deadlines.
    Pause(usize),
    /// Something happens to PostgreSQL.
    Postgres(ServerFault),
    /// The PostgreSQL primary is killed and its standby promoted; then the other becomes the standby, with a fresh copy.
    Failover,
    /// The PostgreSQL standby is killed and started again.
    Standby,
    /// Something happens to RabbitMQ.
    RabbitMq(ServerFault),
    /// Something happens to one node of a RabbitMQ cluster.
    Node(usize, ServerFault),
    /// All timers that wait in RabbitMQ are lost.
    Purge,
    /// A link between two parts is bad.
    Link(usize, Weather),
}

/// What happens to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServerFault {
    /// It is stopped in order and started again.
    Restart,
    /// It is stopped at once (PostgreSQL's immediate shutdown) and recovers.
    Immediate,
    /// It is killed with all its processes, and recovers.
    Kill,
    /// It stands still and goes on.
    Pause,
}

/// What came of a strike.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Struck {
    /// It is broken.
    Broken,
    /// So many timers are lost.
    Purged(u64),
    /// There was nothing to break.
    Nothing,
}

/// What a fault strikes: one fault at a time.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Target {
    /// A service.
    Service(usize),
    /// PostgreSQL.
    Postgres,
    /// RabbitMQ.
    RabbitMq,
    /// A link.
    Link(usize),
}

impl Fault {
    /// What it strikes.
    #[must_use]
    pub const fn target(self) -> Target {
        match self {
            Self::Kill(service) | Self::Terminate(service) | Self::Pause(service) => Target::Service(service),
            Self::Postgres(_) | Self::Failover | Self::Standby => Target::Postgres,
            // One node at a time: two of three are a majority.
            Self::RabbitMq(_) | Self::Node(..) | Self::Purge => Target::RabbitMq,
            Self::Link(link, _) => Target::Link(link),
        }
    }

    /// Its kind, for the report.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Kill(_) => "service killed (SIGKILL)",
            Self::Terminate(_) => "service restarted (SIGTERM)",
            Self::Pause(_) => "service paused (SIGSTOP)",
            Self::Postgres(ServerFault::Restart) => "PostgreSQL restarted",
            Self::Postgres(ServerFault::Immediate) => "PostgreSQL shut down immediately",
            Self::Postgres(ServerFault::Kill) => "PostgreSQL killed",
            Self::Postgres(ServerFault::Pause) => "PostgreSQL paused",
            Self::Failover => "PostgreSQL primary killed, standby promoted",
            Self::Standby => "PostgreSQL standby killed",
            Self::Node(_, ServerFault::Restart | ServerFault::Immediate) => "RabbitMQ node restarted",
            Self::Node(_, ServerFault::Kill) => "RabbitMQ node killed",
            Self::Node(_, ServerFault::Pause) => "RabbitMQ node paused",
            Self::RabbitMq(ServerFault::Restart | ServerFault::Immediate) => "RabbitMQ restarted",
            Self::RabbitMq(ServerFault::Kill) => "RabbitMQ killed",
            Self::RabbitMq(ServerFault::Pause) => "RabbitMQ paused",
            Self::Purge => "timers purged",
            Self::Link(_, Weather::Cut) => "link cut",
            Self::Link(_, Weather::Stalled) => "link stalled",
            Self::Link(_, Weather::Slow(_)) => "link slow",
            Self::Link(_, Weather::Deaf) => "link deaf",
            Self::Link(_, Weather::Fair) => "link fair",
        }
    }
}

/// A fault that happened, for the report.
#[derive(Clone, Debug, Serialize)]
pub struct Happened {
    /// Its kind.
    pub kind: &'static str,
    /// What it struck.
    pub target: String,
    /// How many timers were lost by it.
    pub timers: u64,
    /// When it began.
    pub from: crate::time::Time,
    /// When it was mended, and what it struck was back.
    pub to: crate::time::Time,
}
