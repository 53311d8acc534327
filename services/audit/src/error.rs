//! Why there is no report.

use tonic::Status;

/// Why nothing can be said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A URL is malformed.
    #[error("{0:#}")]
    Url(anyhow::Error),
    /// The token to show cannot be read.
    #[error("{0:#}")]
    Token(anyhow::Error),
    /// A service is away, or refused.
    #[error("{service} did not answer {call}: {:?}: {}", status.code(), status.message())]
    Call {
        /// Which service.
        service: &'static str,
        /// Which call.
        call: &'static str,
        /// What it, or the way to it, said.
        status: Box<Status>,
    },
    /// Too much is wrong to be looked at again in the memory that an audit may take.
    #[error("more than {0} holds are under suspicion: something else is wrong first")]
    TooManySuspects(usize),
}
