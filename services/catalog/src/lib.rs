//! The catalog service: owns products, stock, seat maps, seats and holds. Knows nothing of customers or payment.

pub mod convert;
pub mod domain;
pub mod error;
pub mod holds;
pub mod rpc;
pub mod store;

pub use error::Error;
