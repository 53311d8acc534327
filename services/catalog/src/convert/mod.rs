//! Protobuf to domain, with the checks that name bad fields, and domain to protobuf. Nothing else.

pub mod audit;
pub mod hold;
pub mod money;
pub mod product;
pub mod seat;
pub mod seat_map;
pub mod stock_adjustment;

use std::fmt::Display;

use api::{Violation, field};

use crate::domain::{customer::CustomerLimit, hold_ttl::HoldTtl};

/// Reads the id of a resource to be created: the caller's, or a new one.
fn id_or<I: From<uuid::Uuid>>(path: impl Display, id: &str, generate: fn() -> I) -> Result<I, Violation> {
    Ok(field::optional_uuid(path, id)?.map_or_else(generate, I::from))
}

/// Reads a hold time that must be set.
fn hold_ttl(path: impl Display, ttl: Option<&prost_types::Duration>) -> Result<HoldTtl, Violation> {
    let ms = field::duration_ms(&path, ttl, HoldTtl::RANGE_MS)?;
    HoldTtl::try_from(ms).map_err(|error| Violation::new(path, error.to_string()))
}

/// Reads a limit per customer: 0 is none.
fn customer_limit(path: impl Display, number: i64) -> Result<CustomerLimit, Violation> {
    let number = field::integer(&path, number, CustomerLimit::RANGE)?;
    CustomerLimit::try_from(number).map_err(|error| Violation::new(path, error.to_string()))
}

/// Reads a hold time; when it is not set, it is the default one.
fn hold_ttl_or(
    path: impl Display,
    ttl: Option<&prost_types::Duration>,
    default: HoldTtl,
) -> Result<HoldTtl, Violation> {
    if ttl.is_none() { Ok(default) } else { hold_ttl(path, ttl) }
}
