//! SQL: one file per table, one function per statement. The caller owns the transaction.

pub mod audit;
pub mod bookings;
pub mod create;
pub mod history;
pub mod line;
pub mod outbox;
pub mod parked;
pub mod payments;
pub mod promises;
pub mod row;

/// What is wrong with a row that has a time which nobody can have written.
const NO_TIME: &str = "a time that is none";

/// A stored row that makes no sense: a defect or a damaged database, never a client's mistake.
#[derive(Debug, thiserror::Error)]
#[error("booking {booking_id}: {what}")]
pub struct Inconsistent {
    /// The booking whose row it is.
    pub booking_id: uuid::Uuid,
    /// What is wrong with it.
    pub what: &'static str,
}
