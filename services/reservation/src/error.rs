//! Everything that can go wrong, and the one place where it becomes a gRPC status.

use std::fmt::Display;

use proto::reservation::ErrorReason;
use telemetry::Chain;
use time::format_description::well_known::Rfc3339;
use tonic::{Code, Status};

use crate::{
    domain::{
        command::Refusal,
        ids::{BookingId, PaymentId, RefundId},
    },
    store::Inconsistent,
};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request are wrong.
    #[error("invalid request")]
    Invalid(#[from] api::Violations),
    /// There is no such booking.
    #[error("booking {0} does not exist")]
    NotFound(BookingId),
    /// A customer named another customer.
    #[error("customer_id is not the subject of the caller's token")]
    ForeignCustomer,
    /// The booking's rules refused.
    #[error("booking {booking_id}: {refusal}")]
    Refused {
        /// The booking.
        booking_id: BookingId,
        /// Why.
        refusal: Refusal,
    },
    /// The booking id was used before with other content.
    #[error("booking id {0} was used before with other content")]
    BookingIdReused(BookingId),
    /// The payment id was used before for something else.
    #[error("payment id {id} was used before for something else")]
    PaymentIdReused {
        /// The id.
        id: PaymentId,
        /// The booking that it is of; this one: with another end.
        used_for: BookingId,
        /// Whether it failed there.
        failed: bool,
    },
    /// The refund id was used before for something else.
    #[error("refund id {id} was used before for something else")]
    RefundIdReused {
        /// The id.
        id: RefundId,
        /// The booking that it is of.
        used_for: BookingId,
    },
    /// The catalog refused the hold.
    #[error("the catalog refused")]
    HoldRefused(Box<Status>),
    /// Too many requests wait.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The work that this request was part of failed as a whole; its cause is logged.
    #[error("the batch failed: {0:?}")]
    Failed(Failure),
    /// The database refused or is away.
    #[error("database")]
    Database(#[from] sqlx::Error),
    /// A stored row makes no sense.
    #[error("inconsistent data")]
    Inconsistent(#[from] Inconsistent),
    /// A booking that was unknown appeared while its tombstone was written.
    #[error("a booking appeared meanwhile")]
    AppearedMeanwhile,
    /// Rows that were locked did not take their change.
    #[error("a change of locked {0} was lost")]
    LostUpdate(&'static str),
}

/// How a unit of work failed for everyone in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The database or the catalog is away, or did not answer in time. What was done is unknown.
    Outage,
    /// The catalog has too much to do. Nothing was done.
    Overload,
    /// Something that must not happen.
    Defect,
}

impl Error {
    /// Whether starting the unit of work again may help: two of them were in each other's way.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        match self {
            // Two units of work used one payment or refund id at the same time: the later one finds it when it looks again.
            Self::Database(error) => {
                ["payments_pkey", "payments_one_accepted_per_booking", "bookings_refund_key"]
                    .iter()
                    .any(|constraint| postgres::violates(error, constraint))
            }
            Self::AppearedMeanwhile => true,
            _ => false,
        }
    }

    /// What the failure of a unit of work means to each request in it. Logs the cause: this is the boundary.
    #[must_use]
    pub fn into_failure(self, work: &'static str) -> Failure {
        self.into_failure_of(work, None)
    }

    /// The same, of work about these bookings, as the log is to have them.
    #[must_use]
    pub fn into_failure_of(self, work: &'static str, booking_ids: Option<&str>) -> Failure {
        match &self {
            Self::Failed(failure) => return *failure,
            Self::Overloaded => return Failure::Overload,
            Self::Database(error) if postgres::is_outage(error) || postgres::is_conflict(error) => {
                tracing::warn!(work, booking_ids, error = %Chain(error), "the database is away or busy");
                return Failure::Outage;
            }
            Self::AppearedMeanwhile => return Failure::Outage,
            _ => {}
        }
        tracing::error!(work, booking_ids, error = %Chain(&self), "a unit of work failed");
        Failure::Defect
    }
}

/// Hands out what a unit of work has for each request, or everyone the failure of the whole.
pub(crate) fn each<T>(
    count: usize,
    answers: Result<Vec<Result<T, Failure>>, Failure>,
) -> Vec<Result<T, Failure>> {
    answers.unwrap_or_else(|failure| (0..count).map(|_| Err(failure)).collect())
}

impl postgres::DatabaseError for Error {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<failpoint::Fault> for Error {
    /// As if the connection to the database broke at that step.
    fn from(fault: failpoint::Fault) -> Self {
        Self::Database(sqlx::Error::Io(fault.into()))
    }
}

impl From<api::Violation> for Error {
    fn from(violation: api::Violation) -> Self {
        Self::Invalid(violation.into())
    }
}

impl From<server::Busy> for Error {
    fn from(_: server::Busy) -> Self {
        Self::Overloaded
    }
}

impl From<batch::SubmitError> for Error {
    fn from(error: batch::SubmitError) -> Self {
        match error {
            batch::SubmitError::QueueFull => Self::Overloaded,
            batch::SubmitError::Abandoned => Self::Failed(Failure::Outage),
        }
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid(violations) => violations.into(),
            Error::NotFound(id) => {
                refused(Code::NotFound, ErrorReason::BookingNotFound, message, "booking_id", &id)
            }
            Error::ForeignCustomer => {
                let reason = api::reason_name(ErrorReason::CustomerMismatch.as_str_name());
                api::refusal(Code::PermissionDenied, reason, message, [])
            }
            Error::Refused { booking_id, refusal } => refusal_status(booking_id, refusal, message),
            Error::BookingIdReused(id) => id_reused(message, [("booking_id", id.to_string())]),
            Error::PaymentIdReused { id, used_for, failed } => {
                let of = [("payment_id", id.to_string()), ("used_for", used_for.to_string())];
                id_reused(message, of.into_iter().chain(failed.then(|| ("failed", "true".to_owned()))))
            }
            Error::RefundIdReused { id, used_for } => {
                id_reused(message, [("refund_id", id.to_string()), ("used_for", used_for.to_string())])
            }
            Error::HoldRefused(status) => *status,
            Error::Overloaded | Error::Failed(Failure::Overload) => api::overloaded(),
            Error::Failed(Failure::Outage) => api::unavailable(),
            Error::Failed(Failure::Defect) => api::internal(),
            Error::Database(_) | Error::Inconsistent(_) | Error::AppearedMeanwhile | Error::LostUpdate(_) => {
                Error::Failed(error.into_failure("call")).into()
            }
        }
    }
}

fn refused(code: Code, reason: ErrorReason, message: String, key: &str, id: &impl Display) -> Status {
    api::refusal(code, api::reason_name(reason.as_str_name()), message, [(key, id.to_string())])
}

fn id_reused<'a>(message: String, metadata: impl IntoIterator<Item = (&'a str, String)>) -> Status {
    let reason = api::reason_name(ErrorReason::IdReused.as_str_name());
    api::refusal(Code::AlreadyExists, reason, message, metadata)
}

fn refusal_status(booking_id: BookingId, refusal: Refusal, message: String) -> Status {
    let mut metadata = vec![("booking_id", booking_id.to_string())];
    let reason = match refusal {
        Refusal::Illegal { from, to } => {
            metadata.extend([("from", from.as_str().to_owned()), ("to", to.as_str().to_owned())]);
            ErrorReason::IllegalTransition
        }
        Refusal::HoldExpired => ErrorReason::HoldExpired,
        Refusal::BookingCancelled => ErrorReason::BookingCancelled,
        Refusal::AlreadyPaid => ErrorReason::AlreadyPaid,
        Refusal::LifetimeExceeded { latest } => {
            metadata.push(("latest_expire_time", latest.format(&Rfc3339).unwrap_or_default()));
            ErrorReason::HoldLifetimeExceeded
        }
        // The handlers name the id; another attempt may be made at once.
        Refusal::IdReused { .. } => return id_reused(message, [("booking_id", booking_id.to_string())]),
        Refusal::Superseded => return api::unavailable(),
    };
    api::refusal(Code::FailedPrecondition, api::reason_name(reason.as_str_name()), message, metadata)
}
