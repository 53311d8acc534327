//! Seat maps of the API and of the domain.

use std::{collections::HashSet, fmt::Display};

use api::{Violation, Violations, field, mask, time};
use proto::catalog::{CreateSeatMapRequest, Seat, SeatMap, UpdateSeatMapRequest};

use super::{customer_limit, hold_ttl, hold_ttl_or, id_or, money, seat};
use crate::domain::{
    customer::CustomerLimit,
    hold_ttl::HoldTtl,
    ids::SeatMapId,
    money::Currency,
    revision::Expected,
    seat_map::{self, NewSeat, NewSeatMap, SeatMapChange},
};

/// The most seats of a map.
const MAX_SEATS: usize = 10_000;
/// The fields that an update may change.
const UPDATABLE: [&str; 3] = ["display_name", "hold_ttl", "max_units_per_customer"];

/// Reads the request for a new seat map.
pub fn new(request: &CreateSeatMapRequest) -> Result<NewSeatMap, Violations> {
    let mut bad = Violations::default();
    let id = bad.keep(id_or("seat_map_id", &request.seat_map_id, SeatMapId::generate));
    let Some(seat_map) = bad.keep(field::required("seat_map", request.seat_map.as_ref())) else {
        return Err(bad);
    };
    let display_name = bad.keep(display_name(seat_map));
    let ttl = seat_map.hold_ttl.as_ref();
    let hold_ttl = bad.keep(hold_ttl_or("seat_map.hold_ttl", ttl, HoldTtl::OF_SEATS));
    let seats = bad.keep_all(new_seats(&request.seats));
    let limit = bad.keep(limit(seat_map));
    let (id, display_name, hold_ttl, customer_limit, (currency, seats)) =
        bad.complete((id, display_name, hold_ttl, limit, seats))?;
    Ok(NewSeatMap { id, display_name, currency, hold_ttl, customer_limit, seats })
}

fn display_name(seat_map: &SeatMap) -> Result<String, Violation> {
    field::text("seat_map.display_name", &seat_map.display_name, 1..=200)
}

fn limit(seat_map: &SeatMap) -> Result<CustomerLimit, Violation> {
    customer_limit("seat_map.max_units_per_customer", seat_map.max_units_per_customer)
}

/// Reads the seats of a new map: labels unique, all prices in the currency of the first seat.
fn new_seats(seats: &[Seat]) -> Result<(Currency, Vec<NewSeat>), Violations> {
    field::count("seats", seats.len(), 1..=MAX_SEATS)?;
    let mut bad = Violations::default();
    let mut labels = HashSet::with_capacity(seats.len());
    let mut currency = None;
    let mut new = Vec::with_capacity(seats.len());
    for (i, seat) in seats.iter().enumerate() {
        let Some(seat) = bad.keep_all(new_seat(&format_args!("seats[{i}]"), seat)) else { continue };
        if !labels.insert(seat.label.clone()) {
            bad.add(Violation::new(format_args!("seats[{i}].label"), "must be unique in its map"));
        }
        if *currency.get_or_insert(seat.price.currency()) != seat.price.currency() {
            let path = format_args!("seats[{i}].price.currency_code");
            bad.add(Violation::new(path, "must be the same for all seats of a map"));
        }
        new.push(seat);
    }
    let (currency,) = bad.complete((currency,))?;
    Ok((currency, new))
}

fn new_seat(path: &impl Display, seat: &Seat) -> Result<NewSeat, Violations> {
    let mut bad = Violations::default();
    let label = bad.keep(seat::label(format_args!("{path}.label"), &seat.label));
    let section = bad.keep(field::text(format_args!("{path}.section"), &seat.section, 0..=64));
    let row = bad.keep(field::text(format_args!("{path}.row"), &seat.row, 0..=16));
    let number = bad.keep(field::integer(format_args!("{path}.number"), seat.number, 0..=100_000));
    let price = bad.keep_all(money::price(format_args!("{path}.price"), seat.price.as_ref()));
    let (label, section, row, _, price) = bad.complete((label, section, row, number, price))?;
    Ok(NewSeat { label, section, row, number: seat.number, price })
}

/// The request for this seat map as it was understood: what a repeat is compared with.
#[must_use]
pub fn to_request(new: &NewSeatMap) -> CreateSeatMapRequest {
    let seat_map = SeatMap {
        display_name: new.display_name.clone(),
        hold_ttl: Some(time::to_duration_ms(new.hold_ttl.as_ms())),
        max_units_per_customer: new.customer_limit.number(),
        ..SeatMap::default()
    };
    let seats = new.seats.iter().map(|seat| Seat {
        label: seat.label.clone(),
        section: seat.section.clone(),
        row: seat.row.clone(),
        number: seat.number,
        price: Some(money::to_money(seat.price)),
        ..Seat::default()
    });
    CreateSeatMapRequest { seat_map_id: new.id.to_string(), seat_map: Some(seat_map), seats: seats.collect() }
}

/// Reads the request for a change: which map, of which revision, and what to change. Only the fields that the mask
/// names are looked at.
pub fn change(request: &UpdateSeatMapRequest) -> Result<(SeatMapId, Expected, SeatMapChange), Violations> {
    let seat_map = field::required("seat_map", request.seat_map.as_ref())?;
    let mut bad = Violations::default();
    let id = bad.keep(field::uuid("seat_map.seat_map_id", &seat_map.seat_map_id));
    let paths = mask::paths("update_mask", request.update_mask.as_ref(), &UPDATABLE);
    let paths = bad.keep(paths).unwrap_or_default();
    let mut change = SeatMapChange::default();
    if paths.contains(&"display_name") {
        change.display_name = bad.keep(display_name(seat_map));
    }
    if paths.contains(&"hold_ttl") {
        change.hold_ttl = bad.keep(hold_ttl("seat_map.hold_ttl", seat_map.hold_ttl.as_ref()));
    }
    if paths.contains(&"max_units_per_customer") {
        change.customer_limit = bad.keep(limit(seat_map));
    }
    let (id,) = bad.complete((id,))?;
    Ok((id.into(), Expected::from_etag(&seat_map.etag), change))
}

/// A seat map as the API shows it.
#[must_use]
pub fn to_proto(seat_map: seat_map::SeatMap) -> SeatMap {
    let seats = seat_map.seats;
    SeatMap {
        seat_map_id: seat_map.id.to_string(),
        display_name: seat_map.display_name,
        hold_ttl: Some(time::to_duration_ms(seat_map.hold_ttl.as_ms())),
        free_seats: seats.free,
        held_seats: seats.held,
        sold_seats: seats.sold,
        blocked_seats: seats.blocked,
        etag: seat_map.revision.etag(),
        create_time: Some(time::to_timestamp(seat_map.created_at)),
        update_time: Some(time::to_timestamp(seat_map.updated_at)),
        max_units_per_customer: seat_map.customer_limit.number(),
    }
}

#[cfg(test)]
mod tests {
    use proto::catalog::Money;

    use super::*;

    fn seats(count: usize) -> Vec<Seat> {
        let price = Money { currency_code: "EUR".to_owned(), minor_units: 100 };
        let seat =
            |i| Seat { label: format!("S{i}"), number: 7, price: Some(price.clone()), ..Seat::default() };
        (0..count).map(seat).collect()
    }

    fn request(seats: Vec<Seat>) -> CreateSeatMapRequest {
        let seat_map = SeatMap { display_name: "Flight".to_owned(), ..SeatMap::default() };
        CreateSeatMapRequest { seat_map_id: String::new(), seat_map: Some(seat_map), seats }
    }

    #[test]
    fn a_request_as_it_was_understood_is_understood_the_same() {
        let seat_map = new(&request(seats(10_000))).unwrap();
        assert_eq!(new(&to_request(&seat_map)), Ok(seat_map));
    }

    #[test]
    fn every_bad_seat_is_named_by_its_place() {
        let mut bad = seats(4);
        bad[1].label = "S0".to_owned();
        bad[2].price = None;
        bad[3].price = Some(Money { currency_code: "USD".to_owned(), minor_units: -1 });
        let violations = new(&request(bad)).unwrap_err();
        let fields: Vec<_> = violations.fields().collect();
        assert_eq!(fields, ["seats[1].label", "seats[2].price", "seats[3].price.minor_units"]);
    }
}
