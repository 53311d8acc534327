//! The relay: takes promises out of the outbox and keeps them.

mod wake;

pub use wake::Wake;
