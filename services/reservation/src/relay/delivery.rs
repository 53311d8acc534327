//! Where promises go, and what it means when they do not get there.

use amqp::{Broker, Lanes, Publisher};
use proto::catalog::hold_service_client::HoldServiceClient;
use server::Channel;
use tokio::sync::Mutex;
use tonic::{Code, Status};

use super::{events, settles, timers};
use crate::{error::Error, store::outbox::Row};

/// Where promises of one kind go.
pub(super) enum Destination {
    Timers { broker: Broker, publisher: Mutex<Publisher>, lanes: Lanes },
    Events { broker: Broker, publisher: Mutex<Publisher> },
    Catalog(HoldServiceClient<Channel>),
}

impl Destination {
    /// Waits until there is any use in trying.
    pub(super) async fn reachable(&self) {
        match self {
            Self::Timers { broker, .. } | Self::Events { broker, .. } => broker.up().await,
            Self::Catalog(_) => {}
        }
    }

    pub(super) async fn deliver(&self, rows: &[Row]) -> Result<(), DeliveryError> {
        match self {
            Self::Timers { publisher, lanes, .. } => {
                let messages = timers::messages(lanes, rows)?;
                Ok(publisher.lock().await.publish(&messages).await?)
            }
            Self::Events { publisher, .. } => {
                let messages = events::messages(rows)?;
                Ok(publisher.lock().await.publish(&messages).await?)
            }
            Self::Catalog(catalog) => settles::deliver(&mut catalog.clone(), rows).await,
        }
    }
}

/// Why a delivery failed. Its rows stay.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeliveryError {
    #[error("outbox")]
    Outbox(#[from] Error),
    #[error("RabbitMQ")]
    Broker(#[from] amqp::Error),
    #[error("catalog: {0:?}: {1}")]
    Catalog(Code, String),
    #[error("the catalog answered {answered} of {asked} verdicts")]
    Answers { answered: usize, asked: usize },
    #[error("it cannot be read")]
    Panicked,
}

impl DeliveryError {
    /// Whether something is away or cannot keep up: the same rows may be delivered later. If not, they, or some of them,
    /// may be at fault.
    pub(super) fn is_outage(&self) -> bool {
        match self {
            Self::Outbox(Error::Database(error)) => {
                postgres::is_outage(error) || postgres::is_conflict(error)
            }
            // A message that has no queue, or is not taken: the topology is declared again with the next channel.
            Self::Broker(_) => true,
            Self::Catalog(code, _) => api::is_outage(*code),
            Self::Outbox(_) | Self::Answers { .. } | Self::Panicked => false,
        }
    }

    /// Whether the row is at fault without doubt: it makes no sense, whoever it is for.
    pub(super) fn is_senseless(&self) -> bool {
        match self {
            Self::Panicked | Self::Outbox(Error::Inconsistent(_)) => true,
            Self::Outbox(Error::Database(error)) => {
                matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
            }
            Self::Outbox(_) | Self::Broker(_) | Self::Catalog(..) | Self::Answers { .. } => false,
        }
    }
}

impl From<sqlx::Error> for DeliveryError {
    fn from(error: sqlx::Error) -> Self {
        Self::Outbox(error.into())
    }
}

impl postgres::DatabaseError for DeliveryError {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Outbox(error) => error.database(),
            _ => None,
        }
    }
}

impl From<failpoint::Fault> for DeliveryError {
    fn from(fault: failpoint::Fault) -> Self {
        Self::Outbox(fault.into())
    }
}

impl From<Status> for DeliveryError {
    fn from(status: Status) -> Self {
        Self::Catalog(status.code(), status.message().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Inconsistent;

    #[test]
    fn who_is_away_is_waited_for() {
        for error in [
            DeliveryError::from(Status::unavailable("")),
            Status::deadline_exceeded("").into(),
            Status::unimplemented("").into(),
            sqlx::Error::PoolTimedOut.into(),
            amqp::Error::Blocked.into(),
        ] {
            assert!(error.is_outage(), "{error}");
        }
    }

    #[test]
    fn what_is_refused_or_cannot_be_read_is_looked_at_row_by_row() {
        let senseless = Error::from(Inconsistent { booking_id: uuid::Uuid::nil(), what: "nonsense" });
        for error in [
            DeliveryError::from(Status::invalid_argument("")),
            Status::internal("").into(),
            senseless.into(),
            sqlx::Error::ColumnNotFound("deadlines".to_owned()).into(),
            DeliveryError::Answers { answered: 1, asked: 2 },
            DeliveryError::Panicked,
        ] {
            assert!(!error.is_outage(), "{error}");
        }
    }

    #[test]
    fn a_row_is_at_fault_without_doubt_only_where_nobody_else_was_asked() {
        let inconsistent = Error::from(Inconsistent { booking_id: uuid::Uuid::nil(), what: "nonsense" });
        assert!(DeliveryError::from(inconsistent).is_senseless());
        assert!(DeliveryError::from(sqlx::Error::Decode("infinity".into())).is_senseless());
        assert!(DeliveryError::Panicked.is_senseless());
        for error in [
            DeliveryError::from(Status::internal("")),
            sqlx::Error::ColumnNotFound("deadlines".to_owned()).into(),
            DeliveryError::Answers { answered: 1, asked: 2 },
        ] {
            assert!(!error.is_senseless(), "{error}");
        }
    }
}
