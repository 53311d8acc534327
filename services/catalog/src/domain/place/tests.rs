//! The decision on a batch of holds: every refusal by example, and laws over random shelves and batches.

mod batches;
mod laws;
mod limits;
mod refusals;
pub(in crate::domain) mod shelves;
