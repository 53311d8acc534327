//! The catalog's tables: one file per table, one function per statement; the caller owns the transaction.
//!
//! What comes out of a row is a value of the domain; a row that makes no sense is [`Error::Inconsistent`].

pub mod audit;
pub mod counts;
pub mod holds;
pub mod place;
pub mod products;
pub mod seat_maps;
pub mod seats;
pub mod shelf;
pub mod stock_adjustments;

use std::fmt::Display;

use postgres::StoredTime;
use time::OffsetDateTime;

use crate::{
    Error,
    domain::money::{Currency, Price},
};

/// What [`api::content::digest`] makes of a request.
pub type RequestHash = [u8; 32];

/// A value that constraints should have kept out of `column`.
fn inconsistent<E: Display>(column: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Inconsistent(format!("{column}: {error}"))
}

fn time(column: &'static str, found: StoredTime) -> Result<OffsetDateTime, Error> {
    found.get().ok_or("it is no time").map_err(inconsistent(column))
}

fn currency(code: &str) -> Result<Currency, Error> {
    code.parse().map_err(inconsistent("currency"))
}

fn price(code: &str, minor_units: i64) -> Result<Price, Error> {
    Price::new(currency(code)?, minor_units).map_err(inconsistent("price_minor"))
}
