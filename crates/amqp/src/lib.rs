//! The way to RabbitMQ: supervised connection, lanes, confirmed publishing.
