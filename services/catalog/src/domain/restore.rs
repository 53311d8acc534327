//! The decision on a batch of holds that were lost and are put back: who gets what as for new ones, at the prices that were
//! agreed then. Pure.

use std::collections::HashSet;

use super::{
    hold::{Hold, HoldKey},
    place::{self, PlaceRequest, Refusal, Shelf, Writes},
};

/// A hold to put back.
#[derive(Clone, Debug)]
pub struct RestoreRequest {
    /// What was asked for when it was placed.
    pub place: PlaceRequest,
    /// The price of one unit of each item, in minor units.
    pub prices_minor: Vec<i64>,
    /// The currency of all of them (ISO 4217).
    pub currency: String,
}

/// What became of one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there, and is now.
    Restored(Hold),
    /// It was there before.
    Present(Hold),
    /// Nothing was taken.
    Refused {
        /// Why.
        reason: Refusal,
        /// Which line, from 0; none when it is the hold as a whole.
        line: Option<usize>,
    },
    /// A hold is there that makes no sense. Nothing was taken.
    Damaged,
}

/// Decides the batch.
#[must_use]
pub fn decide(mut shelf: Shelf, requests: &[RestoreRequest]) -> (Vec<Outcome>, Writes) {
    shelf.forget_prices();
    shelf.forget_refusals();
    let before: HashSet<HoldKey> = shelf.holds.keys().copied().collect();
    let places: Vec<PlaceRequest> = requests.iter().map(|request| request.place.clone()).collect();
    let place::Decision { outcomes, mut writes } = place::decide(shelf, &places);
    for hold in &mut writes.holds {
        if let Some(request) = requests.iter().find(|request| request.place.key == hold.key) {
            request.agree(hold);
        }
    }
    let outcome = |(request, outcome): (&RestoreRequest, place::Outcome)| match outcome {
        place::Outcome::Placed(hold) if before.contains(&hold.key) => Outcome::Present(hold),
        place::Outcome::Placed(mut hold) => {
            request.agree(&mut hold);
            Outcome::Restored(hold)
        }
        place::Outcome::Refused { reason, line } => Outcome::Refused { reason, line },
        place::Outcome::Damaged => Outcome::Damaged,
    };
    (requests.iter().zip(outcomes).map(outcome).collect(), writes)
}

impl Shelf {
    /// What things cost today is no matter: not even that their currencies are several by now.
    fn forget_prices(&mut self) {
        let products = self.products.values_mut().map(|product| &mut product.terms);
        for terms in products.chain(self.seats.values_mut().map(|(_, terms)| terms)) {
            terms.price_minor = 0;
            terms.currency.clear();
        }
    }
}

impl Shelf {
    /// What a customer may have is no matter either, as they have it already; it is counted all the same.
    fn forget_refusals(&mut self) {
        self.open_holds_limit = self.open_holds_limit.without_refusal();
        let products = self.products.values_mut().map(|product| &mut product.terms);
        for terms in products.chain(self.seats.values_mut().map(|(_, terms)| terms)) {
            terms.customer_limit = terms.customer_limit.without_refusal();
        }
    }
}

impl RestoreRequest {
    /// Gives a hold the prices that were agreed.
    fn agree(&self, hold: &mut Hold) {
        hold.currency.clone_from(&self.currency);
        for (line, price_minor) in hold.lines.iter_mut().zip(&self.prices_minor) {
            line.price_minor = *price_minor;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        customer::{CountKey, Counted, CustomerLimit},
        hold::{HoldState, Item, Line},
        place::tests::shelves::{at_most, customer, key, place_in, product_id, seat, units},
        place::{ProductOnSale, SeatOnSale, Terms},
    };

    fn terms(price_minor: i64) -> Terms {
        Terms {
            price_minor,
            currency: "EUR".to_owned(),
            hold_ttl_ms: 60_000,
            customer_limit: CustomerLimit::NONE,
        }
    }

    /// Ten units at 7, and seat A at 9, today.
    fn shelf() -> Shelf {
        let mut shelf = Shelf::default();
        shelf.products.insert(product_id(1), ProductOnSale { available: 10, terms: terms(7) });
        shelf.seats.insert(seat(1, "A"), (SeatOnSale::Free, terms(9)));
        shelf
    }

    fn lost(booking: u128, items: Vec<Item>, prices_minor: Vec<i64>) -> RestoreRequest {
        let place =
            PlaceRequest { key: key(booking, 2), items, asked_ttl_ms: Some(5_000), customer_id: None };
        RestoreRequest { place, prices_minor, currency: "EUR".to_owned() }
    }

    #[test]
    fn a_hold_comes_back_at_the_prices_that_were_agreed() {
        let request = lost(1, vec![units(1, 4), place_in(1, "A")], vec![5, 8]);
        let (outcomes, writes) = decide(shelf(), &[request]);
        let line = |item, price_minor| Line { item, price_minor, counts: false };
        let hold = Hold {
            key: key(1, 2),
            state: HoldState::Active,
            lines: vec![line(units(1, 4), 5), line(place_in(1, "A"), 8)],
            currency: "EUR".to_owned(),
            hold_ttl_ms: 5_000,
            customer_id: None,
            counts_open: false,
        };
        assert_eq!(outcomes, [Outcome::Restored(hold.clone())]);
        assert_eq!(writes.holds, [hold]);
        assert_eq!(writes.products, [(product_id(1), 4)].into());
        assert_eq!(writes.seats, [(seat(1, "A"), key(1, 2))].into());
    }

    #[test]
    fn a_hold_that_is_there_stays_as_it_is() {
        let request = lost(1, vec![units(1, 4)], vec![5]);
        let lines = vec![Line { item: units(1, 4), price_minor: 6, counts: false }];
        let state = HoldState::Committed;
        let currency = "EUR".to_owned();
        let hold = Hold {
            key: key(1, 2),
            state,
            lines,
            currency,
            hold_ttl_ms: 60_000,
            customer_id: None,
            counts_open: false,
        };
        let mut shelf = shelf();
        shelf.holds.insert(hold.key, hold.clone());
        assert_eq!(decide(shelf, &[request]), (vec![Outcome::Present(hold)], Writes::default()));
    }

    #[test]
    fn a_hold_comes_back_in_its_currency_although_prices_are_in_several_today() {
        let mut shelf = shelf();
        shelf.seats.insert(
            seat(1, "A"),
            (SeatOnSale::Free, Terms { currency: "USD".to_owned(), ..terms(i64::MAX) }),
        );
        let (outcomes, writes) = decide(shelf, &[lost(1, vec![units(1, 4), place_in(1, "A")], vec![5, 8])]);
        let [Outcome::Restored(hold)] = &outcomes[..] else { panic!("{outcomes:?}") };
        assert_eq!((hold.currency.as_str(), hold.lines[1].price_minor), ("EUR", 8));
        assert_eq!(writes.holds.first(), Some(hold));
    }

    #[test]
    fn the_hold_of_one_customer_is_not_there_for_another() {
        let of = |name| {
            let mut request = lost(1, vec![units(1, 4)], vec![5]);
            request.place.customer_id = Some(customer(name));
            request
        };
        let (outcomes, writes) = decide(shelf(), &[of("ann"), of("bob")]);
        assert!(matches!(outcomes[0], Outcome::Restored(_)), "{outcomes:?}");
        let reused = Outcome::Refused { reason: Refusal::IdReused(key(1, 2)), line: None };
        assert_eq!((&outcomes[1], writes.holds.len()), (&reused, 1));
    }

    #[test]
    fn a_hold_beyond_what_its_customer_may_have_comes_back_and_counts() {
        let mut shelf = shelf();
        let meal = CountKey { customer_id: customer("ann"), counted: Counted::Product(product_id(1)) };
        for product in shelf.products.values_mut() {
            product.terms.customer_limit = at_most(2);
        }
        shelf.open_holds_limit = at_most(1);
        shelf.counts = [(meal.clone(), 2)].into();
        let requests = [1, 2].map(|booking| {
            let mut request = lost(booking, vec![units(1, 4)], vec![5]);
            request.place.customer_id = Some(customer("ann"));
            request
        });
        let (outcomes, writes) = decide(shelf, &requests);
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Restored(_))), "{outcomes:?}");
        let open = CountKey { counted: Counted::OpenHolds, ..meal.clone() };
        let taken: Vec<_> = writes.counts.into_iter().map(|(key, taking)| (key, taking.taken)).collect();
        assert_eq!(taken, [(open, 2), (meal, 8)]);
    }

    #[test]
    fn one_that_makes_no_sense_is_nobody_elses_and_nothing_is_taken_for_it() {
        let mut shelf = shelf();
        shelf.damaged.insert(key(1, 2));
        let requests = [lost(1, vec![units(1, 4)], vec![5]), lost(2, vec![units(1, 4)], vec![5])];
        let (outcomes, writes) = decide(shelf, &requests);
        assert_eq!(outcomes[0], Outcome::Damaged);
        assert!(matches!(outcomes[1], Outcome::Restored(_)), "{outcomes:?}");
        assert_eq!(writes.products, [(product_id(1), 4)].into());
    }

    #[test]
    fn what_is_not_free_any_more_is_refused_and_nothing_is_taken_for_it() {
        let requests = [
            lost(1, vec![place_in(1, "A")], vec![8]),
            lost(2, vec![units(1, 4), place_in(1, "A")], vec![5, 8]),
            lost(3, vec![units(1, 11)], vec![5]),
        ];
        let (outcomes, writes) = decide(shelf(), &requests);
        assert!(matches!(outcomes[0], Outcome::Restored(_)), "{outcomes:?}");
        let taken = Outcome::Refused { reason: Refusal::SeatTaken(seat(1, "A")), line: Some(1) };
        let reason = Refusal::InsufficientStock { product_id: product_id(1), requested: 11, available: 10 };
        assert_eq!(outcomes[1..], [taken, Outcome::Refused { reason, line: Some(0) }]);
        assert_eq!((writes.holds.len(), writes.products.len(), writes.seats.len()), (1, 0, 1));
    }
}
