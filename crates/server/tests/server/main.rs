//! A whole server, driven through real connections.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod calls;
mod ending;
mod health;
mod replicas;
mod running;
mod tls;
