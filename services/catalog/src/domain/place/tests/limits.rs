//! Limits per customer by example: what counts, for whom, and what is refused.

use super::{
    super::{
        Outcome, PlaceRequest, ProductOnSale, Refusal, SeatOnSale, Shelf, Taking, Terms, Writes, decide,
    },
    shelves::{at_most, customer, key, place_in, product_id, request, seat, seat_map_id, terms, units},
};
use crate::domain::{
    customer::{CountKey, Counted, CustomerLimit},
    hold::HoldState,
};

/// A hundred units each of product 1, of which one may have 4, and of product 2, which has no limit; seats A, B and C of map 1, of
/// which one may have 2.
fn shelf() -> Shelf {
    let limited = |number| Terms { customer_limit: at_most(number), ..terms(100, "EUR", 60_000) };
    let product = |number, terms| (product_id(number), ProductOnSale { available: 100, terms });
    let seats = ["A", "B", "C"].map(|label| (seat(1, label), (SeatOnSale::Free, limited(2))));
    Shelf {
        products: [product(1, limited(4)), product(2, terms(100, "EUR", 60_000))].into(),
        seats: seats.into(),
        seat_maps: [seat_map_id(1)].into(),
        ..Shelf::default()
    }
}

fn of(name: &str, request: PlaceRequest) -> PlaceRequest {
    PlaceRequest { customer_id: Some(customer(name)), ..request }
}

fn count(name: &str, counted: Counted) -> CountKey {
    CountKey { customer_id: customer(name), counted }
}

const fn beyond(counted: Counted, limit: i64, has: i64, requested: i64, line: usize) -> Outcome {
    Outcome::Refused { reason: Refusal::CustomerLimit { counted, limit, has, requested }, line: Some(line) }
}

fn placed(outcomes: &[Outcome]) -> Vec<bool> {
    outcomes.iter().map(|outcome| matches!(outcome, Outcome::Placed(_))).collect()
}

const MEAL: u128 = 1;

#[test]
fn one_customer_gets_as_much_as_one_may_and_another_as_much_again() {
    let one = |booking, name| of(name, request(booking, vec![units(MEAL, 1)]));
    let batch: Vec<_> = (1..=6).map(|n| one(n, "ann")).chain((7..=12).map(|n| one(n, "bob"))).collect();
    let decision = decide(shelf(), &batch);
    let counted = Counted::Product(product_id(MEAL));
    for outcomes in decision.outcomes.chunks(6) {
        assert_eq!(placed(outcomes), [true, true, true, true, false, false]);
        assert_eq!(outcomes[5], beyond(counted, 4, 4, 1, 0));
    }
    let four = Taking { taken: 4, allowed: 4 };
    assert_eq!(decision.writes.counts, [(count("ann", counted), four), (count("bob", counted), four)].into());
    assert_eq!(decision.writes.products, [(product_id(MEAL), 8)].into());
}

#[test]
fn what_they_have_counts_and_lines_of_one_thing_are_summed() {
    let counted = Counted::Product(product_id(MEAL));
    let shelf = Shelf { counts: [(count("ann", counted), 2)].into(), ..shelf() };
    let three = of("ann", request(1, vec![units(2, 9), units(MEAL, 1), units(MEAL, 1), units(MEAL, 1)]));
    let decision = decide(shelf.clone(), std::slice::from_ref(&three));
    assert_eq!((decision.outcomes, decision.writes), (vec![beyond(counted, 4, 2, 3, 3)], Writes::default()));
    let two = of("ann", request(1, vec![units(MEAL, 1), units(MEAL, 1)]));
    assert_eq!(placed(&decide(shelf, &[two]).outcomes), [true]);
}

#[test]
fn seats_of_a_map_are_counted_together() {
    let batch = [
        of("ann", request(1, vec![place_in(1, "A"), place_in(1, "B"), place_in(1, "C")])),
        of("ann", request(2, vec![place_in(1, "A"), place_in(1, "B")])),
        of("ann", request(3, vec![place_in(1, "C")])),
        of("bob", request(4, vec![place_in(1, "C")])),
    ];
    let decision = decide(shelf(), &batch);
    let counted = Counted::SeatMap(seat_map_id(1));
    assert_eq!(placed(&decision.outcomes), [false, true, false, true]);
    assert_eq!(decision.outcomes[0], beyond(counted, 2, 0, 3, 2));
    assert_eq!(decision.outcomes[2], beyond(counted, 2, 2, 1, 0));
}

#[test]
fn lines_without_a_limit_do_not_count() {
    let mixed = of("ann", request(1, vec![units(2, 50), units(MEAL, 3), place_in(1, "A")]));
    let free = of("bob", request(2, vec![units(2, 50)]));
    let decision = decide(shelf(), &[mixed, free]);
    let [mixed, free] = &decision.writes.holds[..] else { panic!("{decision:?}") };
    assert_eq!(mixed.lines.iter().map(|line| line.counts).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!((mixed.customer_id.as_ref(), mixed.counts_open), (Some(&customer("ann")), false));
    assert_eq!((free.customer_id.as_ref(), free.lines[0].counts), (Some(&customer("bob")), false));
    let expected = [(Counted::Product(product_id(MEAL)), 3, 4), (Counted::SeatMap(seat_map_id(1)), 1, 2)];
    let expected = expected.map(|(of, taken, allowed)| (count("ann", of), Taking { taken, allowed }));
    assert_eq!(decision.writes.counts, expected.into());
}

#[test]
fn open_holds_are_counted_whatever_they_hold() {
    let shelf = Shelf { open_holds_limit: at_most(2), ..shelf() };
    let batch: Vec<_> = (1..=3).map(|n| of("ann", request(n, vec![units(2, 1)]))).collect();
    let decision = decide(shelf, &batch);
    assert_eq!(placed(&decision.outcomes), [true, true, false]);
    let reason = Refusal::OpenHoldsLimit { limit: 2, has: 2 };
    assert_eq!(decision.outcomes[2], Outcome::Refused { reason, line: None });
    let taking = Taking { taken: 2, allowed: 2 };
    assert_eq!(decision.writes.counts, [(count("ann", Counted::OpenHolds), taking)].into());
}

#[test]
fn a_repeat_at_the_limit_finds_its_hold() {
    let all = of("ann", request(1, vec![units(MEAL, 4)]));
    let decision = decide(shelf(), &[all.clone(), all.clone()]);
    assert_eq!(placed(&decision.outcomes), [true, true]);
    assert_eq!(decision.writes.holds.len(), 1);
    let counts = [(count("ann", Counted::Product(product_id(MEAL))), 4)].into();
    let holds = decision.writes.holds.into_iter().map(|hold| (hold.key, hold)).collect();
    let decision = decide(Shelf { holds, counts, ..shelf() }, &[all]);
    assert_eq!((placed(&decision.outcomes), decision.writes), (vec![true], Writes::default()));
}

#[test]
fn a_limit_that_was_lowered_refuses_more_and_nothing_else() {
    let counted = Counted::Product(product_id(MEAL));
    let shelf = Shelf { counts: [(count("ann", counted), 9)].into(), ..shelf() };
    let more = of("ann", request(1, vec![units(MEAL, 1)]));
    assert_eq!(decide(shelf, &[more]).outcomes, [beyond(counted, 4, 9, 1, 0)]);
}

#[test]
fn without_a_customer_and_without_a_limit_nothing_counts() {
    let mut unlimited = shelf();
    for product in unlimited.products.values_mut() {
        product.terms.customer_limit = CustomerLimit::NONE;
    }
    let nobody = request(1, vec![units(MEAL, 50)]);
    for (shelf, request) in [(shelf(), nobody.clone()), (unlimited, of("ann", nobody))] {
        let decision = decide(shelf, &[request]);
        assert_eq!(placed(&decision.outcomes), [true]);
        assert_eq!((decision.writes.counts.len(), decision.writes.holds[0].lines[0].counts), (0, false));
    }
}

#[test]
fn a_hold_counts_its_units_until_it_is_released_and_itself_while_it_is_active() {
    let shelf = Shelf { open_holds_limit: at_most(2), ..shelf() };
    let wanted = of("ann", request(1, vec![units(MEAL, 2), units(2, 1), units(MEAL, 1)]));
    let hold = decide(shelf, &[wanted]).writes.holds.remove(0);
    assert_eq!(hold.key, key(1, 1));
    let counted =
        |state| hold.counts_as(state).map(|(key, number)| (key.counted, number)).collect::<Vec<_>>();
    let meal = Counted::Product(product_id(MEAL));
    assert_eq!(counted(HoldState::Active), [(Counted::OpenHolds, 1), (meal, 2), (meal, 1)]);
    assert_eq!(counted(HoldState::Committed), [(meal, 2), (meal, 1)]);
    assert_eq!(counted(HoldState::Released), []);
}

/// Whoever names the key of another's hold, and the same goods, does not get it: neither what it counts nor its time and prices are
/// theirs.
#[test]
fn the_hold_of_one_customer_is_not_found_by_another() {
    for goods in [MEAL, 2] {
        let ask = |name| of(name, request(1, vec![units(goods, 1)]));
        let unnamed = request(1, vec![units(goods, 1)]);
        let decision = decide(shelf(), &[ask("ann"), ask("bob"), ask("ann"), unnamed]);
        assert_eq!(placed(&decision.outcomes), [true, false, true, true], "{goods}");
        let reused = Outcome::Refused { reason: Refusal::IdReused(key(1, 1)), line: None };
        assert_eq!(decision.outcomes[1], reused, "{goods}");
    }
}
