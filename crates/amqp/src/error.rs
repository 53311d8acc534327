//! What can go wrong with RabbitMQ. Every one of these leaves the message with the caller, to be published again.

use std::time::Duration;

/// Why something could not be said to RabbitMQ, or was not confirmed by it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no connection; one is being made.
    #[error("not connected to RabbitMQ: {0}")]
    Down(String),
    /// RabbitMQ takes no messages: it is low on memory or disk.
    #[error("RabbitMQ accepts no messages for now: it is low on memory or disk")]
    Blocked,
    /// No answer in this time. The messages may have arrived.
    #[error("RabbitMQ did not answer within {0:?}")]
    Timeout(Duration),
    /// RabbitMQ refused a message.
    #[error("RabbitMQ refused a message")]
    Refused,
    /// There is no queue for a message.
    #[error("RabbitMQ has no queue for {routing_key}: {reason}")]
    Unroutable {
        /// What the message was published with.
        routing_key: String,
        /// RabbitMQ's words.
        reason: String,
    },
    /// The connection or channel failed meanwhile. The messages may have arrived.
    #[error("the conversation with RabbitMQ failed")]
    Conversation(#[from] lapin::Error),
}

impl Error {
    /// What kind of error it is, for traces.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Down(_) => "down",
            Self::Blocked => "blocked",
            Self::Timeout(_) => "timeout",
            Self::Refused => "refused",
            Self::Unroutable { .. } => "unroutable",
            Self::Conversation(_) => "conversation",
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Conversation(error.into())
    }
}
