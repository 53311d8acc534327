//! Batches by example: who gets what, on which terms.

use super::{
    super::{Outcome, PlaceRequest, ProductOnSale, Refusal, SeatOnSale, Shelf, decide},
    shelves::{key, place_in, product_id, request, seat, terms, units},
};
use crate::domain::hold::{HoldState, Line};

/// So many units of product 1, sold for a minute; seats A and B of map 1, sold for ten.
fn shelf(available: i64) -> Shelf {
    let seat = |label| (seat(1, label), (SeatOnSale::Free, terms(9_900, "EUR", 600_000)));
    Shelf {
        products: [(product_id(1), ProductOnSale { available, terms: terms(250, "EUR", 60_000) })].into(),
        seats: ["A", "B"].map(seat).into(),
        ..Shelf::default()
    }
}

fn is_placed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Placed(_))
}

#[test]
fn a_hold_has_its_lines_at_their_prices_and_the_least_of_their_times() {
    let items = vec![place_in(1, "A"), units(1, 2)];
    let decision = decide(shelf(10), &[request(1, items.clone())]);
    let [Outcome::Placed(hold)] = &decision.outcomes[..] else { panic!("it is refused: {decision:?}") };
    assert_eq!((hold.key, hold.state, hold.currency.as_str()), (key(1, 1), HoldState::Active, "EUR"));
    assert_eq!(hold.hold_ttl_ms, 60_000);
    let prices = [9_900, 250];
    let lines =
        items.into_iter().zip(prices).map(|(item, price_minor)| Line { item, price_minor, counts: false });
    assert_eq!(hold.lines, lines.collect::<Vec<_>>());
    assert_eq!(decision.writes.holds, std::slice::from_ref(hold));
    assert_eq!(decision.writes.products, [(product_id(1), 2)].into());
    assert_eq!(decision.writes.seats, [(seat(1, "A"), key(1, 1))].into());
}

#[test]
fn less_time_may_be_asked_for_and_more_is_not_given() {
    for (asked, given) in [(None, 60_000), (Some(100), 100), (Some(60_000), 60_000), (Some(60_001), 60_000)] {
        let request = PlaceRequest { asked_ttl_ms: asked, ..request(1, vec![units(1, 1)]) };
        let decision = decide(shelf(10), &[request]);
        assert_eq!(decision.writes.holds[0].hold_ttl_ms, given, "asked for {asked:?}");
    }
}

#[test]
fn twenty_who_want_one_of_ten_take_ten_in_one_write_and_ten_go_without() {
    let batch: Vec<_> = (1..=20).map(|booking| request(booking, vec![units(1, 1)])).collect();
    let decision = decide(shelf(10), &batch);
    assert!(decision.outcomes[..10].iter().all(is_placed));
    let reason = Refusal::InsufficientStock { product_id: product_id(1), requested: 1, available: 0 };
    let line = Some(0);
    assert!(decision.outcomes[10..].iter().all(|o| *o == Outcome::Refused { reason: reason.clone(), line }));
    assert_eq!(decision.writes.products, [(product_id(1), 10)].into());
    assert_eq!(decision.writes.holds.len(), 10);
}

#[test]
fn two_hundred_who_want_one_seat_leave_it_to_the_first() {
    let batch: Vec<_> = (1..=200).map(|booking| request(booking, vec![place_in(1, "A")])).collect();
    let decision = decide(shelf(0), &batch);
    assert!(is_placed(&decision.outcomes[0]));
    let taken = Outcome::Refused { reason: Refusal::SeatTaken(seat(1, "A")), line: Some(0) };
    assert!(decision.outcomes[1..].iter().all(|outcome| *outcome == taken));
    assert_eq!(decision.writes.seats, [(seat(1, "A"), key(1, 1))].into());
}

#[test]
fn a_hold_that_fails_by_one_line_leaves_the_others_to_the_next() {
    let batch = [
        request(1, vec![place_in(1, "A"), units(1, 11)]),
        request(2, vec![units(1, 10), place_in(1, "A"), place_in(1, "B")]),
    ];
    let decision = decide(shelf(10), &batch);
    assert_eq!(decision.outcomes.iter().map(is_placed).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn the_same_request_twice_in_a_batch_is_one_hold() {
    let wanted = request(1, vec![units(1, 6)]);
    let decision = decide(shelf(10), &[wanted.clone(), wanted]);
    assert_eq!(decision.outcomes[0], decision.outcomes[1]);
    assert_eq!(decision.writes.products, [(product_id(1), 6)].into());
    assert_eq!(decision.writes.holds.len(), 1);
}

#[test]
fn a_refused_key_is_free_for_other_items() {
    let batch = [request(1, vec![units(1, 11)]), request(1, vec![units(1, 10)])];
    let decision = decide(shelf(10), &batch);
    assert_eq!(decision.outcomes.iter().map(is_placed).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_repeat_finds_its_hold_in_whatever_state_it_is_with_what_it_cost_then() {
    for state in [HoldState::Active, HoldState::Committed, HoldState::Released] {
        let wanted = request(1, vec![units(1, 6)]);
        let mut hold = decide(shelf(10), std::slice::from_ref(&wanted)).writes.holds.remove(0);
        hold.state = state;
        hold.lines[0].price_minor = 1;
        let shelf = Shelf { holds: [(hold.key, hold.clone())].into(), ..shelf(0) };
        let decision = decide(shelf, &[wanted]);
        assert_eq!(decision.outcomes, [Outcome::Placed(hold)]);
        assert_eq!(decision.writes, super::super::Writes::default());
    }
}

#[test]
fn another_attempt_is_another_hold() {
    let first = request(1, vec![units(1, 6)]);
    let second = PlaceRequest { key: key(1, 2), ..first.clone() };
    let decision = decide(shelf(12), &[first, second]);
    assert!(decision.outcomes.iter().all(is_placed));
    assert_eq!(decision.writes.products, [(product_id(1), 12)].into());
}

#[test]
fn an_empty_batch_writes_nothing() {
    let decision = decide(shelf(10), &[]);
    assert_eq!((decision.outcomes, decision.writes), Default::default());
}
