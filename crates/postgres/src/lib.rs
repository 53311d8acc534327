//! The way to a PostgreSQL database: pool, patience at start, units of work, and what its errors mean.
//!
//! Knows no table: statements belong to the services.

mod aside;
mod boot;
mod config;
mod connect;
mod error;
mod follow;
mod metrics;
mod migrate;
mod probe;
mod rights;
mod servers;
mod session;
mod stored_time;
mod traces;
mod transact;
mod watch;
mod witness;

pub use aside::{Aside, Turn};
pub use boot::boot;
pub use config::{DatabaseConfig, SERVING};
pub use connect::connect;
pub use error::{is_conflict, is_outage, violates};
pub use migrate::{await_schema, migrate};
pub use rights::Rights;
pub use stored_time::StoredTime;
pub use traces::traced;
pub use transact::{DatabaseError, UnitOfWork, autocommit, transact, transact_unsynced};
pub use watch::watch;
