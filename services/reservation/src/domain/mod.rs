//! What a booking is and what may become of it. Pure: no clock, no database, no network.

pub mod actor;
pub mod audit;
pub mod booking;
pub mod command;
pub mod ids;
pub mod line;
pub mod promise;

mod transition;

#[cfg(test)]
mod tests;
