//! What holds of every batch on every shelf.

use std::collections::{BTreeMap, HashSet};

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use super::{
    super::{
        Decision, MAX_TOTAL_MINOR, Outcome, PlaceRequest, Refusal, SeatOnSale, Shelf, Taking, Terms, Writes,
        decide,
    },
    shelves::{batches, shelves, standing, written},
};
use crate::domain::{
    customer::{CountKey, Counted, CustomerLimit},
    hold::{HoldState, Item, SeatKey},
    ids::ProductId,
};

/// Decides the requests one by one, each against the shelf as the one before left it.
fn one_by_one(
    mut shelf: Shelf,
    batch: &[PlaceRequest],
    mut look: impl FnMut(&Shelf, &PlaceRequest, &Outcome),
) -> Decision {
    let mut sum = Decision::default();
    for request in batch {
        let Decision { mut outcomes, writes } = decide(shelf.clone(), std::slice::from_ref(request));
        let outcome = outcomes.pop().expect("one request has one outcome");
        assert!(outcomes.is_empty());
        look(&shelf, request, &outcome);
        shelf = written(shelf, &writes);
        sum.outcomes.push(outcome);
        for (id, units) in writes.products {
            *sum.writes.products.entry(id).or_default() += units;
        }
        for (key, taking) in writes.counts {
            sum.writes.counts.entry(key).or_insert(Taking { taken: 0, ..taking }).taken += taking.taken;
        }
        sum.writes.seats.extend(writes.seats);
        sum.writes.holds.extend(writes.holds);
    }
    sum
}

fn terms<'a>(shelf: &'a Shelf, item: &Item) -> &'a Terms {
    match item {
        Item::Product { product_id, .. } => &shelf.products[product_id].terms,
        Item::Seat(seat) => &shelf.seats[seat].1,
    }
}

fn units_of(request: &PlaceRequest, wanted: ProductId) -> i64 {
    let units = |item: &Item| match item {
        Item::Product { product_id, quantity } if *product_id == wanted => *quantity,
        Item::Product { .. } | Item::Seat(_) => 0,
    };
    request.items.iter().map(units).sum()
}

const fn is_placed(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Placed(_))
}

fn quantity(item: &Item) -> i64 {
    match item {
        Item::Product { quantity, .. } => *quantity,
        Item::Seat(_) => 1,
    }
}

fn counted_as(item: &Item) -> Counted {
    match item {
        Item::Product { product_id, .. } => Counted::Product(*product_id),
        Item::Seat(seat) => Counted::SeatMap(seat.seat_map_id),
    }
}

/// What the customer of a request has.
fn has_of(shelf: &Shelf, request: &PlaceRequest, counted: Counted) -> i64 {
    let key = request.customer_id.clone().map(|customer_id| CountKey { customer_id, counted });
    key.and_then(|key| shelf.counts.get(&key).copied()).unwrap_or(0)
}

/// Whether the shelf gives this reason to refuse the request.
fn is_true(shelf: &Shelf, request: &PlaceRequest, reason: &Refusal, line: Option<usize>) -> bool {
    let item = line.map(|line| &request.items[line]);
    let is_seat = |key: &SeatKey| item == Some(&Item::Seat(key.clone()));
    let state = |key: &SeatKey| shelf.seats.get(key).map(|(state, _)| *state);
    match reason {
        Refusal::ProductNotFound(id) => !shelf.products.contains_key(id) && units_of(request, *id) > 0,
        Refusal::SeatMapNotFound(id) => {
            !shelf.seat_maps.contains(id) && matches!(item, Some(Item::Seat(seat)) if seat.seat_map_id == *id)
        }
        Refusal::SeatNotFound(key) => is_seat(key) && state(key).is_none(),
        Refusal::SeatTaken(key) => is_seat(key) && state(key) == Some(SeatOnSale::Taken),
        Refusal::SeatBlocked(key) => is_seat(key) && state(key) == Some(SeatOnSale::Blocked),
        Refusal::InsufficientStock { product_id, requested, available } => {
            matches!(item, Some(Item::Product { product_id: id, .. }) if id == product_id)
                && shelf.products[product_id].available == *available
                && units_of(request, *product_id) == *requested
                && requested > available
        }
        Refusal::CurrencyMismatch { first, other } => {
            let of = |item: Option<&Item>| item.map(|item| terms(shelf, item).currency.as_str());
            of(request.items.first()) == Some(first) && of(item) == Some(other) && first != other
        }
        Refusal::TotalTooLarge => {
            let price = |item: &Item| i128::from(terms(shelf, item).price_minor) * i128::from(quantity(item));
            line.is_none() && request.items.iter().map(price).sum::<i128>() > MAX_TOTAL_MINOR
        }
        Refusal::CustomerLimit { counted, limit, has, requested } => {
            let of_it = |item: &&Item| counted_as(item) == *counted;
            let line = item.filter(of_it).map(|item| terms(shelf, item).customer_limit.most());
            line == Some(Some(*limit))
                && has_of(shelf, request, *counted) == *has
                && request.items.iter().filter(of_it).map(quantity).sum::<i64>() == *requested
                && has + requested > *limit
        }
        Refusal::OpenHoldsLimit { limit, has } => {
            line.is_none()
                && shelf.open_holds_limit.most() == Some(*limit)
                && has_of(shelf, request, Counted::OpenHolds) == *has
                && has >= limit
        }
        Refusal::IdReused(key) => {
            line.is_none()
                && *key == request.key
                && !shelf.holds[key].was_asked_as(&request.items, request.customer_id.as_ref())
        }
    }
}

/// Without this the laws might hold for want of cases.
#[test]
fn the_random_batches_meet_every_refusal_and_get_holds() {
    let mut runner = TestRunner::deterministic();
    let (mut reasons, mut placed) = (HashSet::new(), 0);
    for _ in 0..500 {
        let (shelf, batch) =
            (shelves(), batches()).new_tree(&mut runner).expect("made without a filter").current();
        for outcome in decide(shelf, &batch).outcomes {
            match outcome {
                Outcome::Placed(_) => placed += 1,
                Outcome::Refused { reason, .. } => {
                    reasons.insert(std::mem::discriminant(&reason));
                }
                Outcome::Damaged => panic!("nothing was damaged"),
            }
        }
    }
    assert_eq!(reasons.len(), 11);
    assert!(placed > 500, "only {placed} holds were placed");
}

proptest! {
    #[test]
    fn a_batch_decided_at_once_is_its_requests_decided_one_by_one(shelf in shelves(), batch in batches()) {
        prop_assert_eq!(decide(shelf.clone(), &batch), one_by_one(shelf, &batch, |_, _, _| {}));
    }

    #[test]
    fn nothing_is_taken_that_is_not_there(shelf in shelves(), batch in batches()) {
        let writes = decide(shelf.clone(), &batch).writes;
        for (id, units) in &writes.products {
            prop_assert!(1 <= *units && *units <= shelf.products[id].available);
        }
        for seat in writes.seats.keys() {
            prop_assert_eq!(shelf.seats[seat].0, SeatOnSale::Free);
        }
    }

    #[test]
    fn what_is_written_is_the_sum_of_the_new_holds_and_no_seat_is_in_two(shelf in shelves(), batch in batches()) {
        let writes = decide(shelf, &batch).writes;
        let (mut products, mut seats) = (BTreeMap::new(), BTreeMap::new());
        for hold in &writes.holds {
            for line in &hold.lines {
                match &line.item {
                    Item::Product { product_id, quantity } => *products.entry(*product_id).or_default() += quantity,
                    Item::Seat(seat) => prop_assert_eq!(seats.insert(seat.clone(), hold.key), None),
                }
            }
        }
        prop_assert_eq!(products, writes.products);
        prop_assert_eq!(seats, writes.seats);
    }

    #[test]
    fn what_is_counted_is_what_the_new_holds_count_and_nobody_gets_more_than_they_may(
        shelf in shelves(),
        batch in batches(),
    ) {
        let writes = decide(shelf.clone(), &batch).writes;
        let mut sums: BTreeMap<CountKey, i64> = BTreeMap::new();
        for (key, number) in writes.holds.iter().flat_map(|hold| hold.counts_as(HoldState::Active)) {
            *sums.entry(key).or_default() += number;
        }
        let taken = writes.counts.iter().map(|(key, taking)| (key.clone(), taking.taken)).collect();
        prop_assert_eq!(sums, taken);
        for (key, Taking { taken, allowed }) in &writes.counts {
            let limit = match key.counted {
                Counted::OpenHolds => shelf.open_holds_limit,
                Counted::Product(id) => shelf.products[&id].terms.customer_limit,
                Counted::SeatMap(id) => {
                    let seat = shelf.seats.iter().find(|(seat, _)| seat.seat_map_id == id);
                    seat.expect("it has seats").1.1.customer_limit
                }
            };
            prop_assert_eq!(limit.most(), Some(*allowed));
            prop_assert!(shelf.counts.get(key).copied().unwrap_or(0) + taken <= *allowed);
        }
    }

    #[test]
    fn where_nobody_is_known_and_where_nothing_is_limited_nothing_is_counted(
        shelf in shelves(),
        batch in batches(),
    ) {
        let unknown: Vec<_> =
            batch.iter().map(|request| PlaceRequest { customer_id: None, ..request.clone() }).collect();
        let mut unlimited = Shelf { open_holds_limit: CustomerLimit::NONE, ..shelf.clone() };
        let products = unlimited.products.values_mut().map(|product| &mut product.terms);
        let seats = unlimited.seats.values_mut().map(|(_, terms)| terms);
        for terms in products.chain(seats) {
            terms.customer_limit = CustomerLimit::NONE;
        }
        for decision in [decide(shelf, &unknown), decide(unlimited, &batch)] {
            prop_assert!(decision.writes.counts.is_empty());
            prop_assert!(decision.writes.holds.iter().all(|hold| !hold.counts_open && hold.lines.iter().all(|line| !line.counts)));
        }
    }

    #[test]
    fn every_request_has_its_outcome_and_a_new_hold_has_all_its_lines(shelf in shelves(), batch in batches()) {
        let decision = decide(shelf.clone(), &batch);
        prop_assert_eq!(decision.outcomes.len(), batch.len());
        let mut known: HashSet<_> = shelf.holds.keys().copied().collect();
        let mut new = decision.writes.holds.iter();
        for (request, outcome) in batch.iter().zip(&decision.outcomes) {
            let Outcome::Placed(hold) = outcome else { continue };
            prop_assert_eq!(hold.key, request.key);
            prop_assert!(hold.was_asked_as(&request.items, request.customer_id.as_ref()));
            if known.insert(hold.key) {
                prop_assert_eq!(Some(hold), new.next());
                prop_assert_eq!(hold.state, HoldState::Active);
            }
        }
        prop_assert_eq!(new.next(), None);
    }

    #[test]
    fn a_new_hold_has_the_shelfs_prices_and_the_least_time_of_its_lines_and_of_what_was_asked(
        shelf in shelves(),
        batch in batches(),
    ) {
        for hold in decide(shelf.clone(), &batch).writes.holds {
            let asked = batch.iter().find(|request| request.key == hold.key && hold.was_asked_as(&request.items, request.customer_id.as_ref()));
            let asked = asked.expect("somebody asked for it").asked_ttl_ms;
            let ttls = hold.lines.iter().map(|line| terms(&shelf, &line.item).hold_ttl_ms);
            let least = ttls.chain(asked).min().expect("a hold has lines");
            prop_assert_eq!(hold.hold_ttl_ms, least);
            for line in &hold.lines {
                let terms = terms(&shelf, &line.item);
                prop_assert_eq!((line.price_minor, &hold.currency), (terms.price_minor, &terms.currency));
            }
        }
    }

    #[test]
    fn a_key_that_has_a_hold_is_answered_with_it_or_refused_and_takes_nothing(
        shelf in shelves(),
        batch in batches(),
    ) {
        let decision = decide(shelf.clone(), &batch);
        for (request, outcome) in batch.iter().zip(&decision.outcomes) {
            if let Some(hold) = shelf.holds.get(&request.key) {
                let reused = Outcome::Refused { reason: Refusal::IdReused(hold.key), line: None };
                let repeat = hold.was_asked_as(&request.items, request.customer_id.as_ref());
                let expected = if repeat { Outcome::Placed(hold.clone()) } else { reused };
                prop_assert_eq!(outcome, &expected);
            }
        }
        prop_assert!(decision.writes.holds.iter().all(|hold| !shelf.holds.contains_key(&hold.key)));
    }

    #[test]
    fn a_refusal_is_true_of_what_was_there_when_its_turn_came(shelf in shelves(), batch in batches()) {
        let mut untrue = None;
        one_by_one(shelf, &batch, |shelf, request, outcome| {
            if let Outcome::Refused { reason, line } = outcome
                && !is_true(shelf, request, reason, *line)
            {
                untrue = Some((request.clone(), outcome.clone()));
            }
        });
        prop_assert!(untrue.is_none(), "{untrue:?}");
    }

    #[test]
    fn without_its_refused_requests_a_batch_comes_to_the_same(shelf in shelves(), batch in batches()) {
        let decision = decide(shelf.clone(), &batch);
        let (requests, outcomes): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .zip(decision.outcomes)
            .filter(|(_, outcome)| is_placed(outcome))
            .unzip();
        prop_assert_eq!(decide(shelf, &requests), Decision { outcomes, writes: decision.writes });
    }

    #[test]
    fn a_batch_that_comes_again_takes_nothing_more(shelf in shelves(), batch in batches()) {
        let first = decide(shelf.clone(), &batch);
        let shelf = written(shelf, &first.writes);
        let second = decide(shelf.clone(), &batch);
        prop_assert_eq!(&second.writes, &Writes::default());
        prop_assert_eq!(standing(&written(shelf.clone(), &second.writes)), standing(&shelf));
        for (first, second) in first.outcomes.iter().zip(&second.outcomes) {
            if is_placed(first) {
                prop_assert_eq!(first, second);
            } else {
                prop_assert!(!is_placed(second));
            }
        }
    }
}
