//! Everything that can keep the catalog from doing what it was asked, and the one place where it becomes a `Status`.

use api::{Violation, Violations, reason_name, refusal};
use proto::catalog::ErrorReason;
use telemetry::Chain;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::domain::ids::{ProductId, SeatMapId};

/// Why a call did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Fields of the request are bad. `INVALID_ARGUMENT` naming them.
    #[error("bad request")]
    Invalid(#[from] Violations),
    /// There is no such product. `NOT_FOUND`.
    #[error("there is no product {0}")]
    ProductNotFound(ProductId),
    /// There is no such seat map. `NOT_FOUND`.
    #[error("there is no seat map {0}")]
    SeatMapNotFound(SeatMapId),
    /// The map has no such seat. `NOT_FOUND`.
    #[error("seat map {seat_map_id} has no seat {label}")]
    SeatNotFound {
        /// The map.
        seat_map_id: SeatMapId,
        /// The label that was asked for.
        label: String,
    },
    /// The seat is held or sold. `FAILED_PRECONDITION`.
    #[error("seat {label} is taken")]
    SeatTaken {
        /// The map.
        seat_map_id: SeatMapId,
        /// The seat.
        label: String,
    },
    /// The id was used before with other content. `ALREADY_EXISTS`.
    #[error("{name} {id} was used before with other content")]
    IdReused {
        /// The id's field: `product_id`, `adjustment_id`, ...
        name: &'static str,
        /// The id.
        id: Uuid,
    },
    /// Another product has this sku. `ALREADY_EXISTS`.
    #[error("another product has this sku")]
    SkuTaken {
        /// The sku.
        sku: String,
    },
    /// Open holds forbid it. `FAILED_PRECONDITION`.
    #[error("holds on {name} {id} are open")]
    HasOpenHolds {
        /// The id's field: `product_id` or `seat_map_id`.
        name: &'static str,
        /// The id.
        id: Uuid,
    },
    /// The stock would fall below what is held and sold. `FAILED_PRECONDITION`.
    #[error("{on_hand} on hand, {held} held and {sold} sold: the stock cannot change by {delta}")]
    StockInUse {
        /// The product.
        product_id: ProductId,
        /// Units that exist.
        on_hand: i64,
        /// Units in open holds.
        held: i64,
        /// Units sold.
        sold: i64,
        /// The change that was asked for.
        delta: i64,
    },
    /// The resource changed since the caller read it. `ABORTED`.
    #[error("changed since it was read")]
    EtagMismatch {
        /// The current etag.
        etag: String,
    },
    /// Too many requests are waiting. `RESOURCE_EXHAUSTED`; retry.
    #[error("too many requests are waiting")]
    Overloaded,
    /// The batch that the call was part of failed as a whole; its cause is logged.
    #[error("the batch failed: {0:?}")]
    Failed(Failure),
    /// A row makes no sense: somebody else wrote it, or we have a bug. `INTERNAL`.
    #[error("inconsistent data: {0}")]
    Inconsistent(String),
    /// The database failed, or is away. `UNAVAILABLE` when it is away (retry), else `INTERNAL`.
    #[error("database")]
    Database(#[from] sqlx::Error),
}

/// How a batch failed for everyone in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The database is away, or did not answer in time. What was done is unknown.
    Outage,
    /// Something that must not happen.
    Defect,
}

impl Error {
    /// What the failure of a batch means to each call in it. Logs the cause: this is the boundary.
    #[must_use]
    pub fn into_failure(self, work: &'static str) -> Failure {
        self.into_failure_of(work, None)
    }

    /// The same, of a batch about these bookings, as the log is to have them.
    #[must_use]
    pub fn into_failure_of(self, work: &'static str, booking_ids: Option<&str>) -> Failure {
        match &self {
            Self::Failed(failure) => return *failure,
            Self::Database(cause) if postgres::is_outage(cause) || postgres::is_conflict(cause) => {
                tracing::warn!(work, booking_ids, error = %Chain(cause), "the database is away or busy");
                return Failure::Outage;
            }
            _ => {}
        }
        tracing::error!(work, booking_ids, error = %Chain(&self), "a batch failed");
        Failure::Defect
    }
}

impl From<failpoint::Fault> for Error {
    /// As if the connection to the database broke at that step.
    fn from(fault: failpoint::Fault) -> Self {
        Self::Database(sqlx::Error::Io(fault.into()))
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

impl From<Violation> for Error {
    fn from(violation: Violation) -> Self {
        Self::Invalid(violation.into())
    }
}

impl postgres::DatabaseError for Error {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl From<Error> for Status {
    /// Every error's code, reason and metadata, as the protos promise them. What is our own fault or the database's is
    /// logged here, once, and sent without its cause.
    fn from(error: Error) -> Self {
        let message = error.to_string();
        match error {
            Error::Invalid(violations) => violations.into(),
            Error::ProductNotFound(id) => {
                refuse(ErrorReason::ProductNotFound, message, [("product_id", id.to_string())])
            }
            Error::SeatMapNotFound(id) => {
                refuse(ErrorReason::SeatMapNotFound, message, [("seat_map_id", id.to_string())])
            }
            Error::SeatNotFound { seat_map_id, label } => {
                refuse(ErrorReason::SeatNotFound, message, seat(seat_map_id, label))
            }
            Error::SeatTaken { seat_map_id, label } => {
                refuse(ErrorReason::SeatTaken, message, seat(seat_map_id, label))
            }
            Error::IdReused { name, id } => refuse(ErrorReason::IdReused, message, [(name, id.to_string())]),
            Error::SkuTaken { sku } => refuse(ErrorReason::SkuTaken, message, [("sku", sku)]),
            Error::HasOpenHolds { name, id } => {
                refuse(ErrorReason::HasOpenHolds, message, [(name, id.to_string())])
            }
            Error::StockInUse { product_id, on_hand, held, sold, delta } => refuse(
                ErrorReason::StockInUse,
                message,
                [
                    ("product_id", product_id.to_string()),
                    ("on_hand", on_hand.to_string()),
                    ("held", held.to_string()),
                    ("sold", sold.to_string()),
                    ("delta", delta.to_string()),
                ],
            ),
            Error::EtagMismatch { etag } => refuse(ErrorReason::EtagMismatch, message, [("etag", etag)]),
            Error::Overloaded => api::overloaded(),
            Error::Failed(Failure::Outage) => api::unavailable(),
            Error::Failed(Failure::Defect) => api::internal(),
            Error::Inconsistent(what) => {
                tracing::error!(what, "inconsistent data");
                api::internal()
            }
            Error::Database(cause) if postgres::is_outage(&cause) => {
                tracing::warn!(error = %cause, "the database is away");
                api::unavailable()
            }
            Error::Database(cause) if postgres::is_conflict(&cause) => {
                tracing::warn!(error = %cause, "lost against other units of work, again and again");
                api::unavailable()
            }
            Error::Database(cause) => {
                tracing::error!(error = %Chain(&cause), "the database failed");
                api::internal()
            }
        }
    }
}

fn refuse<const N: usize>(reason: ErrorReason, message: String, metadata: [(&str, String); N]) -> Status {
    refusal(code_of(reason), reason_name(reason.as_str_name()), message, metadata)
}

fn seat(seat_map_id: SeatMapId, label: String) -> [(&'static str, String); 2] {
    [("seat_map_id", seat_map_id.to_string()), ("label", label)]
}

/// The code of each reason, as `error_reason.proto` says.
fn code_of(reason: ErrorReason) -> Code {
    match reason {
        ErrorReason::InsufficientStock
        | ErrorReason::SeatTaken
        | ErrorReason::SeatBlocked
        | ErrorReason::HasOpenHolds
        | ErrorReason::StockInUse
        | ErrorReason::CustomerLimit
        | ErrorReason::OpenHoldsLimit => Code::FailedPrecondition,
        ErrorReason::ProductNotFound | ErrorReason::SeatMapNotFound | ErrorReason::SeatNotFound => {
            Code::NotFound
        }
        ErrorReason::CurrencyMismatch | ErrorReason::TotalTooLarge => Code::InvalidArgument,
        ErrorReason::IdReused | ErrorReason::SkuTaken => Code::AlreadyExists,
        ErrorReason::EtagMismatch => Code::Aborted,
        ErrorReason::Overloaded | ErrorReason::RateLimited => Code::ResourceExhausted,
        ErrorReason::Unavailable => Code::Unavailable,
        ErrorReason::NoCredentials | ErrorReason::BadCredentials => Code::Unauthenticated,
        ErrorReason::RoleNotAllowed => Code::PermissionDenied,
        ErrorReason::Unspecified => Code::Internal,
    }
}

#[cfg(test)]
mod tests {
    use api::{fields_of, metadata_of, reason_of, retry_delay_of};

    use super::*;

    #[test]
    fn refusals_carry_code_reason_and_metadata() {
        let product_id = ProductId::generate();
        let status = Status::from(Error::StockInUse { product_id, on_hand: 5, held: 2, sold: 1, delta: -3 });
        assert_eq!(status.code(), Code::FailedPrecondition);
        assert_eq!(reason_of(&status), "STOCK_IN_USE");
        let metadata = metadata_of(&status);
        assert_eq!(metadata["product_id"], product_id.to_string());
        assert_eq!((&*metadata["on_hand"], &*metadata["delta"]), ("5", "-3"));

        let status = Status::from(Error::EtagMismatch { etag: "7".to_owned() });
        assert_eq!((status.code(), &*reason_of(&status)), (Code::Aborted, "ETAG_MISMATCH"));
    }

    #[test]
    fn bad_fields_are_named() {
        let status = Status::from(Error::from(Violation::new("product.sku", "is required")));
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(fields_of(&status), ["product.sku"]);
    }

    #[test]
    fn an_outage_says_when_to_come_back_and_no_cause_is_sent() {
        let status = Status::from(Error::from(sqlx::Error::PoolTimedOut));
        assert_eq!(status.code(), Code::Unavailable);
        assert!(retry_delay_of(&status).is_some());

        let status = Status::from(Error::from(sqlx::Error::ColumnNotFound("secret".to_owned())));
        assert_eq!(status.code(), Code::Internal);
        assert!(!status.message().contains("secret"));
    }
}
