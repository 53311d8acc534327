//! A private PostgreSQL, RabbitMQ and Holdfast: for make up, tests, chaos and benchmarks alike.
//!
//! Everything lives in one folder, a [`Home`], on loopback ports that nobody else uses; servers that this machine already
//! runs are never touched. Everything ends with its owner, however that dies: a `static` in a test will do.
//!
//! ```no_run
//! use std::sync::LazyLock;
//! use stack::{Options, Stack};
//!
//! static STACK: LazyLock<Stack> = LazyLock::new(|| Stack::start(Options::default()).expect("the stack starts"));
//!
//! fn the_broker_comes_back() {
//!     STACK.rabbitmq().kill();
//!     STACK.rabbitmq().restart().expect("on the same port, with its data");
//! }
//! ```
//!
//! The calls block and need no runtime. The services' programs must have been built: `cargo build --workspace --all-targets
//! --features failpoints`, as `make test` does.

mod binary;
mod home;
pub mod http;
mod issuer;
mod links;
pub mod log;
mod options;
mod pki;
pub mod port;
mod postgres;
mod process;
mod prometheus;
pub mod proxy;
mod rabbitmq;
mod secured;
mod servers;
mod service;
mod stack;
pub mod wait;

pub use binary::binary;
pub use home::Home;
pub use issuer::TokenIssuer;
pub use links::{CLIENTS, Link};
pub use options::{Options, Ports};
pub use pki::{Certificate, Pki};
pub use postgres::{
    CATALOG_MIGRATOR, Postgres, PostgresOptions, PostgresPair, RESERVATION_MIGRATOR, Schema, Shutdown,
    postgres_program,
};
pub use process::{Process, ProcessId};
pub use prometheus::Prometheus;
pub use proxy::{Proxy, Weather};
pub use rabbitmq::{RabbitMq, RabbitMqOptions};
pub use rustix::process::Signal;
pub use service::{Service, ServiceKind, ServiceOptions};
pub use stack::Stack;
