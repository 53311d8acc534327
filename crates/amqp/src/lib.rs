//! The way to RabbitMQ: a connection that never gives up, the lanes where timers wait, confirmed publishing, consuming.
//!
//! Owns every name and argument of exchanges and queues ([`topology`]) and what a timer message looks like
//! ([`Timer`]). Decides nothing about holds: that is for the services.

mod config;
mod connection;
mod consumer;
mod depths;
mod error;
mod lanes;
mod message;
mod publisher;
mod timer;
mod tls;
pub mod topology;
mod traces;

pub use config::{AmqpConfig, ConfigError};
pub use connection::{Broker, LinkState};
pub use consumer::{Deliveries, Delivery};
pub use depths::Depths;
pub use error::Error;
pub use lanes::{LEAD, Lanes, Route};
pub use message::{CloudEvent, Message};
pub use publisher::Publisher;
pub use timer::{MAX_TIMERS, Poison, Timer};
pub use tls::AmqpTls;
