//! What is for sale in a scenario.

use std::time::Duration;

use anyhow::Result;
use proto::catalog::{CreateProductRequest, CreateSeatMapRequest, Money, Product, Seat, SeatMap};
use uuid::Uuid;

use crate::calls::{CREATE_PRODUCT, CREATE_SEAT_MAP, encode};
use crate::load::{Until, closed};
use crate::site::Site;

/// So long that no hold runs out while something else is measured.
pub const OPEN: Duration = Duration::from_hours(4);

/// Units that nobody runs out of.
const PLENTY: i64 = 1_000_000_000;
/// How long making them may take.
const LIMIT: Duration = Duration::from_mins(3);

/// Makes so many products, whose holds last so long.
///
/// # Errors
/// A call failed.
pub fn products(site: &Site, count: usize, hold_ttl: Duration) -> Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    let messages: Vec<_> = ids.iter().map(|id| encode(&product(*id, hold_ttl))).collect();
    closed(&site.catalogs, 32, Until::Count(count as u64, LIMIT), async |caller, n| {
        let message = messages[usize::try_from(n).unwrap_or_default()].clone();
        caller.show(site.operator.as_ref());
        caller.call(CREATE_PRODUCT, message).await.map(drop)
    })?
    .sound()?;
    Ok(ids)
}

fn product(id: Uuid, hold_ttl: Duration) -> CreateProductRequest {
    let product = Product {
        sku: format!("sku-{id}"),
        display_name: "A ticket".to_owned(),
        price: Some(price()),
        on_hand: PLENTY,
        hold_ttl: prost_types::Duration::try_from(hold_ttl).ok(),
        ..Product::default()
    };
    CreateProductRequest { product_id: id.to_string(), product: Some(product) }
}

/// Makes so many seat maps with so many seats each.
///
/// # Errors
/// A call failed.
pub fn seat_maps(site: &Site, count: usize, seats: usize) -> Result<Vec<Uuid>> {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    closed(&site.catalogs, 2, Until::Count(count as u64, LIMIT), async |caller, n| {
        let id = ids[usize::try_from(n).unwrap_or_default()];
        caller.show(site.operator.as_ref());
        caller.call(CREATE_SEAT_MAP, encode(&seat_map(id, seats))).await.map(drop)
    })?
    .sound()?;
    Ok(ids)
}

fn seat_map(id: Uuid, seats: usize) -> CreateSeatMapRequest {
    let seats = (0..seats).map(|n| Seat {
        label: label(n),
        section: "Stalls".to_owned(),
        row: (n / 100).to_string(),
        number: i32::try_from(n % 100).unwrap_or_default(),
        price: Some(price()),
        ..Seat::default()
    });
    let seat_map = SeatMap {
        display_name: "A hall".to_owned(),
        hold_ttl: prost_types::Duration::try_from(OPEN).ok(),
        ..SeatMap::default()
    };
    CreateSeatMapRequest { seat_map_id: id.to_string(), seat_map: Some(seat_map), seats: seats.collect() }
}

/// The name of a seat in its map.
#[must_use]
pub fn label(n: usize) -> String {
    format!("S{n}")
}

fn price() -> Money {
    Money { currency_code: "EUR".to_owned(), minor_units: 4_900 }
}
