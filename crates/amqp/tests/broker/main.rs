//! The crate against a real RabbitMQ node, which it starts itself and breaks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod faults;
mod lanes;
