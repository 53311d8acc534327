//! The catalog service: owns products, stock, seat maps, seats and holds. Knows nothing of customers or payment.

pub mod domain;
pub mod error;

pub use error::Error;
