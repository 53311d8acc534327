//! The gRPC services: parse, act, encode. Errors become statuses in `error.rs` alone.

pub mod audit_service;
pub mod booking_service;
pub mod settlement_service;

mod change;
mod create;
mod read;
