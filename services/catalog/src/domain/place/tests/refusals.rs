//! Every reason to refuse a hold, with the line that it is about.

use super::{
    super::{
        MAX_TOTAL_MINOR, Outcome, PlaceRequest, ProductOnSale, Refusal, SeatOnSale, Shelf, Writes, decide,
    },
    shelves::{key, place_in, product_id, request, seat, seat_map_id, terms, units},
};

/// Ten units of product 1 and of product 2, which is sold for dollars; a million of product 3, the dearest there is.
/// In map 1 seat A is free, B taken and C blocked; map 2 exists, none of its seats does.
fn shelf() -> Shelf {
    let product = |number, available, price, currency| {
        (product_id(number), ProductOnSale { available, terms: terms(price, currency, 60_000) })
    };
    let at = |label, state| (seat(1, label), (state, terms(9_900, "EUR", 600_000)));
    Shelf {
        products: [
            product(1, 10, 250, "EUR"),
            product(2, 10, 250, "USD"),
            product(3, 1_000_000, 1_000_000_000_000, "EUR"),
        ]
        .into(),
        seats: [at("A", SeatOnSale::Free), at("B", SeatOnSale::Taken), at("C", SeatOnSale::Blocked)].into(),
        seat_maps: [1, 2].map(seat_map_id).into(),
        ..Shelf::default()
    }
}

/// Asserts that the request is refused for this reason at this line, and that nothing is taken for it.
#[track_caller]
fn assert_refused(shelf: Shelf, request: &PlaceRequest, reason: Refusal, line: Option<usize>) {
    let decision = decide(shelf, std::slice::from_ref(request));
    assert_eq!(decision.outcomes, [Outcome::Refused { reason, line }]);
    assert_eq!(decision.writes, Writes::default());
}

#[test]
fn a_product_that_is_not_there() {
    let request = request(1, vec![units(1, 1), units(9, 1)]);
    assert_refused(shelf(), &request, Refusal::ProductNotFound(product_id(9)), Some(1));
}

#[test]
fn a_seat_in_a_map_that_is_not_there() {
    let request = request(1, vec![units(1, 1), place_in(9, "A")]);
    assert_refused(shelf(), &request, Refusal::SeatMapNotFound(seat_map_id(9)), Some(1));
}

#[test]
fn a_seat_that_is_not_in_its_map() {
    for map in [1, 2] {
        let request = request(1, vec![place_in(1, "A"), place_in(map, "Z")]);
        assert_refused(shelf(), &request, Refusal::SeatNotFound(seat(map, "Z")), Some(1));
    }
}

#[test]
fn a_seat_that_another_hold_has() {
    let request = request(1, vec![units(1, 1), place_in(1, "A"), place_in(1, "B")]);
    assert_refused(shelf(), &request, Refusal::SeatTaken(seat(1, "B")), Some(2));
}

#[test]
fn a_seat_that_was_taken_off_sale() {
    let request = request(1, vec![place_in(1, "A"), place_in(1, "C")]);
    assert_refused(shelf(), &request, Refusal::SeatBlocked(seat(1, "C")), Some(1));
}

#[test]
fn more_units_than_there_are() {
    let request = request(1, vec![place_in(1, "A"), units(1, 11)]);
    let reason = Refusal::InsufficientStock { product_id: product_id(1), requested: 11, available: 10 };
    assert_refused(shelf(), &request, reason, Some(1));
}

#[test]
fn lines_of_one_product_that_are_too_many_together_at_the_line_that_goes_beyond() {
    let request = request(1, vec![units(1, 4), units(1, 4), units(1, 4), units(1, 4)]);
    let reason = Refusal::InsufficientStock { product_id: product_id(1), requested: 16, available: 10 };
    assert_refused(shelf(), &request, reason, Some(2));
}

#[test]
fn prices_in_two_currencies() {
    let request = request(1, vec![place_in(1, "A"), units(1, 1), units(2, 1)]);
    let reason = Refusal::CurrencyMismatch { first: "EUR".to_owned(), other: "USD".to_owned() };
    assert_refused(shelf(), &request, reason, Some(2));
}

#[test]
fn a_total_beyond_the_largest_and_not_one_at_it() {
    let at_the_limit = request(1, vec![units(3, 1_000_000)]);
    let decision = decide(shelf(), std::slice::from_ref(&at_the_limit));
    let [Outcome::Placed(hold)] = &decision.outcomes[..] else { panic!("it is refused: {decision:?}") };
    assert_eq!(i128::from(hold.lines[0].price_minor) * 1_000_000, MAX_TOTAL_MINOR);

    let beyond = request(1, vec![units(3, 1_000_000), units(1, 1)]);
    assert_refused(shelf(), &beyond, Refusal::TotalTooLarge, None);
}

#[test]
fn a_total_far_beyond_what_an_i64_holds() {
    let request = request(1, vec![units(3, 1_000_000); 100]);
    assert_refused(shelf(), &request, Refusal::TotalTooLarge, None);
}

#[test]
fn a_key_that_was_used_for_other_items() {
    let first = request(1, vec![units(1, 1), place_in(1, "A")]);
    let placed = decide(shelf(), std::slice::from_ref(&first)).writes.holds;
    for items in [vec![units(1, 1)], vec![units(1, 2), place_in(1, "A")], vec![place_in(1, "A"), units(1, 1)]]
    {
        let shelf = Shelf { holds: placed.iter().map(|hold| (hold.key, hold.clone())).collect(), ..shelf() };
        assert_refused(shelf, &request(1, items), Refusal::IdReused(key(1, 1)), None);
    }
}

#[test]
fn what_does_not_exist_is_told_before_what_is_not_to_be_had() {
    let request = request(1, vec![place_in(1, "B"), units(1, 99), units(9, 1)]);
    assert_refused(shelf(), &request, Refusal::ProductNotFound(product_id(9)), Some(2));
}
