//! A private PostgreSQL, RabbitMQ and Holdfast: for make up, tests, chaos and benchmarks alike.

mod binary;
mod home;
pub mod http;
pub mod log;
mod options;
pub mod port;
mod postgres;
mod process;
mod rabbitmq;
mod service;
mod stack;
pub mod wait;

pub use binary::binary;
pub use home::Home;
pub use options::{Options, Ports};
pub use postgres::{
    CATALOG_MIGRATOR, Postgres, PostgresOptions, RESERVATION_MIGRATOR, Schema, Shutdown, postgres_program,
};
pub use process::{Process, ProcessId};
pub use rabbitmq::{RabbitMq, RabbitMqOptions};
pub use rustix::process::Signal;
pub use service::{Service, ServiceKind, ServiceOptions};
pub use stack::Stack;
