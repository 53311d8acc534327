//! A private PostgreSQL, RabbitMQ and Holdfast: for make up, tests, chaos and benchmarks alike.
