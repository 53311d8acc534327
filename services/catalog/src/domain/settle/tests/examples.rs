//! Every verdict on a hold in every state, and what it gives back or sells.

use std::collections::HashMap;

use super::super::{
    super::{
        customer::{CountKey, Counted},
        hold::{Hold, HoldKey, HoldState, Item, Line},
        place::tests::shelves::{customer, key, place_in, product_id, seat, units},
    },
    Decision, Delta, Outcome, Verdict, Writes, decide,
};

const STATES: [HoldState; 3] = [HoldState::Active, HoldState::Committed, HoldState::Released];
const VERDICTS: [Verdict; 3] = [Verdict::Commit, Verdict::Release, Verdict::ReviewAfter(500)];

/// A hold of booking 1: two lines of product 1, three units together, and seat A.
fn hold(state: HoldState) -> Hold {
    let line = |item: Item| Line { item, price_minor: 250, counts: false };
    let lines = vec![line(units(1, 1)), line(place_in(1, "A")), line(units(1, 2))];
    Hold {
        key: key(1, 1),
        state,
        lines,
        currency: "EUR".to_owned(),
        hold_ttl_ms: 60_000,
        customer_id: None,
        counts_open: false,
    }
}

fn holds(holds: impl IntoIterator<Item = Hold>) -> HashMap<HoldKey, Hold> {
    holds.into_iter().map(|hold| (hold.key, hold)).collect()
}

fn settle(state: HoldState, verdicts: &[Verdict]) -> Decision {
    let verdicts: Vec<_> = verdicts.iter().map(|verdict| (key(1, 1), *verdict)).collect();
    decide(holds([hold(state)]), &verdicts)
}

/// The writes of a hold that moves to `to`.
fn moved(to: HoldState, held: i64, sold: i64) -> Writes {
    Writes {
        products: [(product_id(1), Delta { held, sold })].into(),
        seats: [(seat(1, "A"), (key(1, 1), to))].into(),
        holds: [(key(1, 1), to)].into(),
        reviews: [].into(),
        counts: [].into(),
    }
}

#[test]
fn each_verdict_on_each_state() {
    let left_alone = Writes { reviews: [(key(1, 1), 500)].into(), ..Writes::default() };
    let expected = [
        (HoldState::Active, Verdict::Commit, Some(moved(HoldState::Committed, -3, 3))),
        (HoldState::Active, Verdict::Release, Some(moved(HoldState::Released, -3, 0))),
        (HoldState::Active, Verdict::ReviewAfter(500), Some(left_alone)),
        (HoldState::Committed, Verdict::Commit, None),
        (HoldState::Committed, Verdict::Release, Some(moved(HoldState::Released, 0, -3))),
        (HoldState::Committed, Verdict::ReviewAfter(500), None),
        (HoldState::Released, Verdict::Commit, None),
        (HoldState::Released, Verdict::Release, None),
        (HoldState::Released, Verdict::ReviewAfter(500), None),
    ];
    assert_eq!(expected.len(), STATES.len() * VERDICTS.len());
    for (state, verdict, writes) in expected {
        let outcome = if writes.is_some() { Outcome::Settled } else { Outcome::Unchanged };
        let expected = Decision { outcomes: vec![outcome], writes: writes.unwrap_or_default() };
        assert_eq!(settle(state, &[verdict]), expected, "{verdict:?} on {state:?}");
    }
}

#[test]
fn a_hold_that_is_not_there_is_unknown_to_every_verdict() {
    for verdict in VERDICTS {
        for unknown in [key(1, 2), key(2, 1)] {
            let decision = decide(holds([hold(HoldState::Active)]), &[(unknown, verdict)]);
            let expected = Decision { outcomes: vec![Outcome::Unknown], writes: Writes::default() };
            assert_eq!(decision, expected, "{verdict:?}");
        }
    }
}

#[test]
fn a_release_wins_over_a_commit_whichever_comes_first() {
    for verdicts in [[Verdict::Commit, Verdict::Release], [Verdict::Release, Verdict::Commit]] {
        assert_eq!(settle(HoldState::Active, &verdicts).writes, moved(HoldState::Released, -3, 0));
    }
}

#[test]
fn the_same_verdict_twice_counts_once() {
    for (verdict, writes) in [
        (Verdict::Commit, moved(HoldState::Committed, -3, 3)),
        (Verdict::Release, moved(HoldState::Released, -3, 0)),
    ] {
        let outcomes = vec![Outcome::Settled, Outcome::Unchanged];
        assert_eq!(settle(HoldState::Active, &[verdict, verdict]), Decision { outcomes, writes });
    }
}

#[test]
fn of_two_reviews_the_later_one_counts_and_none_outlives_the_hold() {
    let reviews = [Verdict::ReviewAfter(500), Verdict::ReviewAfter(300)];
    assert_eq!(settle(HoldState::Active, &reviews).writes.reviews, [(key(1, 1), 300)].into());
    for verdict in [Verdict::Commit, Verdict::Release] {
        for verdicts in [[Verdict::ReviewAfter(500), verdict], [verdict, Verdict::ReviewAfter(500)]] {
            assert_eq!(settle(HoldState::Active, &verdicts).writes.reviews, [].into(), "{verdicts:?}");
        }
    }
}

#[test]
fn the_counts_of_a_product_are_summed_over_the_holds_of_a_batch() {
    let other = |booking, state| Hold { key: key(booking, 1), lines: vec![], ..hold(state) };
    let of = |booking, quantity, state| {
        let lines = vec![Line { item: units(1, quantity), price_minor: 250, counts: false }];
        Hold { lines, ..other(booking, state) }
    };
    let there =
        holds([of(1, 1, HoldState::Active), of(2, 10, HoldState::Active), of(3, 100, HoldState::Committed)]);
    let verdicts =
        [(key(1, 1), Verdict::Commit), (key(2, 1), Verdict::Release), (key(3, 1), Verdict::Release)];
    let decision = decide(there, &verdicts);
    assert_eq!(decision.outcomes, [Outcome::Settled; 3]);
    assert_eq!(decision.writes.products, [(product_id(1), Delta { held: -11, sold: 1 - 100 })].into());
}

#[test]
fn two_attempts_of_a_booking_are_settled_apart() {
    let second = Hold { key: key(1, 2), lines: vec![], ..hold(HoldState::Active) };
    let there = holds([hold(HoldState::Active), second]);
    let decision = decide(there, &[(key(1, 1), Verdict::Release), (key(1, 2), Verdict::Commit)]);
    let expected = [(key(1, 1), HoldState::Released), (key(1, 2), HoldState::Committed)];
    assert_eq!(decision.writes.holds, expected.into());
}

#[test]
fn a_customer_gets_back_what_the_hold_counted_and_keeps_what_was_bought() {
    let mut counted = hold(HoldState::Active);
    (counted.customer_id, counted.counts_open) = (Some(customer("ann")), true);
    // The seat was taken before its map had a limit.
    for line in [0, 2] {
        counted.lines[line].counts = true;
    }
    let key_of = |counted| CountKey { customer_id: customer("ann"), counted };
    let (open, meal) = (key_of(Counted::OpenHolds), key_of(Counted::Product(product_id(1))));
    let given_back = |state, verdicts: &[Verdict]| {
        let verdicts: Vec<_> = verdicts.iter().map(|verdict| (key(1, 1), *verdict)).collect();
        decide(holds([Hold { state, ..counted.clone() }]), &verdicts).writes.counts
    };
    let all = [(open.clone(), 1), (meal.clone(), 3)].into();
    assert_eq!(given_back(HoldState::Active, &[Verdict::Commit]), [(open, 1)].into());
    assert_eq!(given_back(HoldState::Active, &[Verdict::Release]), all);
    assert_eq!(given_back(HoldState::Active, &[Verdict::Commit, Verdict::Release]), all);
    assert_eq!(given_back(HoldState::Committed, &[Verdict::Release]), [(meal, 3)].into());
    assert_eq!(given_back(HoldState::Released, &[Verdict::Release]), [].into());
    assert_eq!(given_back(HoldState::Active, &[Verdict::ReviewAfter(500)]), [].into());
}
