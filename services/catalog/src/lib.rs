//! The catalog service: owns products, stock, seat maps, seats and holds. Knows nothing of customers or payment.

pub mod domain;
pub mod error;
pub mod holds;
pub mod store;
pub mod convert { pub mod hold; }
pub mod rpc { pub mod holds; }

pub use error::Error;
