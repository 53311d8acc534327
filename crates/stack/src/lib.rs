//! A private PostgreSQL, RabbitMQ and Holdfast: for make up, tests, chaos and benchmarks alike.

mod home;
pub mod http;
pub mod log;
pub mod port;
mod postgres;
mod process;
mod rabbitmq;
pub mod wait;

pub use home::Home;
pub use postgres::{CATALOG_MIGRATOR, Postgres, PostgresOptions, RESERVATION_MIGRATOR, Schema, Shutdown};
pub use process::{Process, ProcessId};
pub use rabbitmq::{RabbitMq, RabbitMqOptions};
