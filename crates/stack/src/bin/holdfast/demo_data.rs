//! What `holdfast up` puts on sale: a flight, a theatre and ten products, under ids that never change.
//! Created through the API; a repeat finds what is there.

use anyhow::{Context, Result};
use proto::catalog::{CreateProductRequest, CreateSeatMapRequest, Money, Product, Seat, SeatMap};

use crate::client::Clients;

/// The flight.
pub(crate) const FLIGHT: &str = "f1190000-0000-4000-8000-000000000001";
/// The theatre.
pub(crate) const THEATRE: &str = "7ea70000-0000-4000-8000-000000000001";
/// The product of which there are 100.
pub(crate) const CONCERT: &str = "b0000000-0000-4000-8000-000000000001";

/// Code, name, price in cents, units.
const PRODUCTS: [(&str, &str, i64, i64); 10] = [
    ("CONCERT-GA", "Concert ticket, general admission", 4_900, 100),
    ("MEAL-VEG", "In-flight meal, vegetarian", 1_250, 400),
    ("MEAL-FISH", "In-flight meal, fish", 1_450, 400),
    ("BAG-23KG", "Checked bag, 23 kg", 3_500, 1_000),
    ("LOUNGE-DAY", "Lounge, day pass", 3_900, 40),
    ("PARKING-DAY", "Airport parking, one day", 2_200, 250),
    ("MUSEUM-SLOT", "Museum, entry at 10:00", 1_800, 60),
    ("PROGRAMME", "Theatre programme", 600, 500),
    ("SNEAKER-42", "Sneaker, limited edition, size 42", 18_900, 10),
    ("VINYL-FIRST", "Vinyl record, first pressing", 3_200, 25),
];

/// Creates everything that is not there yet.
pub(crate) async fn load(clients: &Clients) -> Result<()> {
    let mut catalog = clients.catalog.clone();
    for (number, (sku, name, cents, units)) in (1..).zip(PRODUCTS) {
        let request = CreateProductRequest {
            product_id: format!("b0000000-0000-4000-8000-{number:012}"),
            product: Some(product(sku, name, cents, units)),
        };
        catalog.create_product(request).await.with_context(|| format!("create the product {sku}"))?;
    }
    let maps = [
        (FLIGHT, "HF 117, Lisbon to Oslo", flight_seats()),
        (THEATRE, "The Tempest, Saturday 19:30", theatre_seats()),
    ];
    for (seat_map_id, name, seats) in maps {
        let seat_map = SeatMap { display_name: name.to_owned(), ..SeatMap::default() };
        let request =
            CreateSeatMapRequest { seat_map_id: seat_map_id.to_owned(), seat_map: Some(seat_map), seats };
        catalog.create_seat_map(request).await.with_context(|| format!("create the seat map {name}"))?;
    }
    Ok(())
}

/// A product with the hold time that products have unless they say otherwise.
pub(crate) fn product(sku: &str, name: &str, cents: i64, units: i64) -> Product {
    Product {
        sku: sku.to_owned(),
        display_name: name.to_owned(),
        price: Some(euros(cents)),
        on_hand: units,
        ..Product::default()
    }
}

/// 30 rows of six: rows 1 to 5 are business, the rest economy.
pub(crate) fn flight_seats() -> Vec<Seat> {
    let rows =
        (1..=30).map(|row| if row <= 5 { (row, "Business", 48_000) } else { (row, "Economy", 12_900) });
    let seats = rows.flat_map(|(row, section, cents)| {
        ('A'..='F').zip(1..).map(move |(letter, number)| Seat {
            label: format!("{row}{letter}"),
            section: section.to_owned(),
            row: row.to_string(),
            number,
            price: Some(euros(cents)),
            ..Seat::default()
        })
    });
    seats.collect()
}

/// Stalls A to H and circle J to M, of twelve seats each.
fn theatre_seats() -> Vec<Seat> {
    let stalls = ('A'..='H').map(|row| (row, "Stalls", 5_500));
    let circle = ('J'..='M').map(|row| (row, "Circle", 3_800));
    let seats = stalls.chain(circle).flat_map(|(row, section, cents)| {
        (1..=12).map(move |number| Seat {
            label: format!("{row}{number}"),
            section: section.to_owned(),
            row: row.to_string(),
            number,
            price: Some(euros(cents)),
            ..Seat::default()
        })
    });
    seats.collect()
}

fn euros(cents: i64) -> Money {
    Money { currency_code: "EUR".to_owned(), minor_units: cents }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flight_has_180_seats_in_two_price_bands() {
        let seats = flight_seats();
        let business = seats.iter().filter(|seat| seat.section == "Business").count();
        assert_eq!((seats.len(), business), (180, 30));
        assert_eq!((seats[0].label.as_str(), seats[179].label.as_str()), ("1A", "30F"));
    }
}
