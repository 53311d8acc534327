//! What holds of all verdicts on all holds, told by the books: units and seats as the database counts them.

use std::collections::{BTreeMap, HashMap};

use proptest::{collection::vec, prelude::*, sample::select};

use super::super::{
    super::{
        customer::CountKey,
        hold::{Hold, HoldKey, HoldState, Item, SeatKey},
        ids::ProductId,
        place::{
            self, Shelf,
            tests::shelves::{Standing, batches, key, shelves, standing},
        },
    },
    Decision, Delta, Outcome, Verdict, Writes, decide,
};

/// What the database has of a shelf on which holds were placed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Books {
    available: BTreeMap<ProductId, i64>,
    counts: BTreeMap<ProductId, Delta>,
    free: BTreeMap<SeatKey, bool>,
    taken: BTreeMap<SeatKey, (HoldKey, HoldState)>,
    holds: HashMap<HoldKey, Hold>,
    /// What customers have of what is limited.
    of_customers: BTreeMap<CountKey, i64>,
}

/// What holds tell of the books: counts, seats, and what customers have.
type Told = (BTreeMap<ProductId, Delta>, BTreeMap<SeatKey, (HoldKey, HoldState)>, BTreeMap<CountKey, i64>);

impl Books {
    /// A shelf after a batch of holds.
    fn of(shelf: &Shelf, placed: place::Writes) -> Self {
        let (mut available, mut free) = standing(shelf);
        let mut counts: BTreeMap<ProductId, Delta> =
            available.keys().map(|id| (*id, Delta::default())).collect();
        for (id, units) in placed.products {
            *available.get_mut(&id).expect("the product exists") -= units;
            counts.get_mut(&id).expect("the product exists").held += units;
        }
        free.extend(placed.seats.keys().map(|seat| (seat.clone(), false)));
        let taken = placed.seats.into_iter().map(|(seat, hold)| (seat, (hold, HoldState::Active))).collect();
        let holds = placed.holds.into_iter().map(|hold| (hold.key, hold)).collect();
        let of_customers = placed.counts.into_iter().map(|(key, taking)| (key, taking.taken)).collect();
        Self { available, counts, free, taken, holds, of_customers }
    }

    /// Writes what was decided, as the statements of the store do it.
    fn write(&mut self, writes: &Writes) {
        for (id, delta) in &writes.products {
            let counts = self.counts.get_mut(id).expect("the product exists");
            counts.held += delta.held;
            counts.sold += delta.sold;
            *self.available.get_mut(id).expect("the product exists") -= delta.held + delta.sold;
        }
        for (seat, (hold, state)) in &writes.seats {
            let (owner, _) = self.taken.remove(seat).expect("a seat that is settled is taken");
            assert_eq!(owner, *hold, "the seat is another hold's");
            if *state == HoldState::Released {
                self.free.insert(seat.clone(), true);
            } else {
                self.taken.insert(seat.clone(), (owner, *state));
            }
        }
        for (key, number) in &writes.counts {
            assert!(*number > 0, "nothing is given back");
            *self.of_customers.get_mut(key).expect("it is counted") -= number;
        }
        self.of_customers.retain(|_, number| *number != 0);
        for (key, state) in &writes.holds {
            self.holds.get_mut(key).expect("the hold exists").state = *state;
        }
    }

    /// Decides the verdicts and writes what comes of it.
    fn settle(&mut self, verdicts: &[(HoldKey, Verdict)]) -> Decision {
        let decision = decide(self.holds.clone(), verdicts);
        self.write(&decision.writes);
        decision
    }

    /// All holds with the same verdict.
    fn all(&self, verdict: Verdict) -> Vec<(HoldKey, Verdict)> {
        self.holds.keys().map(|key| (*key, verdict)).collect()
    }

    fn standing(&self) -> Standing {
        (self.available.clone(), self.free.clone())
    }

    /// Counts and seats as the holds tell them: held is the sum of ACTIVE lines, sold of COMMITTED ones, and a seat is
    /// in the one hold that is not released; customers have what their holds count.
    fn told_by_holds(&self) -> Told {
        let mut of_customers: BTreeMap<CountKey, i64> = BTreeMap::new();
        for (key, number) in self.holds.values().flat_map(|hold| hold.counts_as(hold.state)) {
            *of_customers.entry(key).or_default() += number;
        }
        let mut counts: BTreeMap<ProductId, Delta> =
            self.counts.keys().map(|id| (*id, Delta::default())).collect();
        let mut taken = BTreeMap::new();
        for hold in self.holds.values().filter(|hold| hold.state != HoldState::Released) {
            for line in &hold.lines {
                match &line.item {
                    Item::Product { product_id, quantity } => {
                        let counts = counts.get_mut(product_id).expect("the product exists");
                        match hold.state {
                            HoldState::Active => counts.held += quantity,
                            HoldState::Committed => counts.sold += quantity,
                            HoldState::Released => {}
                        }
                    }
                    Item::Seat(seat) => {
                        let before = taken.insert(seat.clone(), (hold.key, hold.state));
                        assert_eq!(before, None, "a seat in two holds");
                    }
                }
            }
        }
        (counts, taken, of_customers)
    }

    fn told(&self) -> Told {
        (self.counts.clone(), self.taken.clone(), self.of_customers.clone())
    }
}

/// A shelf and its books after a batch of holds.
fn placed() -> impl Strategy<Value = (Shelf, Books)> {
    (shelves(), batches()).prop_map(|(shelf, batch)| {
        let shelf = Shelf { holds: HashMap::new(), ..shelf };
        let books = Books::of(&shelf, place::decide(shelf.clone(), &batch).writes);
        (shelf, books)
    })
}

/// Verdicts on the keys that batches have, some of which have no hold.
fn verdicts() -> impl Strategy<Value = Vec<(HoldKey, Verdict)>> {
    let keys = (1_u128..=8, 1_i32..=2).prop_map(|(booking, attempt)| key(booking, attempt));
    let verdicts =
        select(vec![Verdict::Commit, Verdict::Release, Verdict::ReviewAfter(0), Verdict::ReviewAfter(9)]);
    vec((keys, verdicts), 0..24)
}

proptest! {
    #[test]
    fn the_books_balance_after_any_verdicts((_, mut books) in placed(), verdicts in verdicts()) {
        prop_assert_eq!(books.told_by_holds(), books.told());
        books.settle(&verdicts);
        prop_assert_eq!(books.told_by_holds(), books.told());
    }

    #[test]
    fn verdicts_decided_at_once_are_those_decided_one_by_one((_, books) in placed(), verdicts in verdicts()) {
        let (mut at_once, mut one_by_one) = (books.clone(), books);
        let outcomes = at_once.settle(&verdicts).outcomes;
        let each = verdicts.iter().flat_map(|verdict| one_by_one.settle(std::slice::from_ref(verdict)).outcomes);
        prop_assert_eq!(each.collect::<Vec<_>>(), outcomes);
        prop_assert_eq!(one_by_one, at_once);
    }

    #[test]
    fn the_order_of_verdicts_makes_no_difference_in_the_end(
        (_, books) in placed(),
        (verdicts, shuffled) in verdicts().prop_flat_map(|v| (Just(v.clone()), Just(v).prop_shuffle())),
    ) {
        let (mut first, mut second) = (books.clone(), books);
        first.settle(&verdicts);
        second.settle(&shuffled);
        prop_assert_eq!(first, second);
    }

    #[test]
    fn verdicts_that_come_again_change_nothing((_, mut books) in placed(), verdicts in verdicts()) {
        books.settle(&verdicts);
        let settled = books.clone();
        let again = books.settle(&verdicts);
        prop_assert_eq!(&books, &settled);
        let Writes { products, seats, holds, counts, reviews } = again.writes;
        prop_assert!(products.is_empty() && seats.is_empty() && holds.is_empty() && counts.is_empty());
        prop_assert!(reviews.keys().all(|key| settled.holds[key].state == HoldState::Active));
        for ((_, verdict), outcome) in verdicts.iter().zip(again.outcomes) {
            let is_review = matches!(verdict, Verdict::ReviewAfter(_));
            prop_assert!(outcome != Outcome::Settled || is_review);
        }
    }

    #[test]
    fn a_hold_only_moves_on_and_only_as_it_is_told((_, mut books) in placed(), verdicts in verdicts()) {
        let before = books.holds.clone();
        let decision = books.settle(&verdicts);
        for (key, hold) in &before {
            let told = |wanted| verdicts.iter().any(|(of, verdict)| of == key && *verdict == wanted);
            let expected = match (told(Verdict::Release), told(Verdict::Commit)) {
                (true, _) => HoldState::Released,
                (false, true) => HoldState::Committed,
                (false, false) => hold.state,
            };
            let after = &books.holds[key];
            prop_assert!(after.state >= hold.state);
            prop_assert_eq!(after, &Hold { state: expected, ..hold.clone() });
            prop_assert_eq!(decision.writes.holds.contains_key(key), expected != hold.state);
        }
    }

    #[test]
    fn every_verdict_has_its_outcome_and_only_unknown_holds_are_unknown(
        (_, books) in placed(),
        verdicts in verdicts(),
    ) {
        let outcomes = decide(books.holds.clone(), &verdicts).outcomes;
        prop_assert_eq!(outcomes.len(), verdicts.len());
        for ((key, _), outcome) in verdicts.iter().zip(outcomes) {
            prop_assert_eq!(outcome == Outcome::Unknown, !books.holds.contains_key(key));
        }
    }

    #[test]
    fn a_review_is_written_for_holds_that_stay_active_and_is_the_last_one_told(
        (_, mut books) in placed(),
        verdicts in verdicts(),
    ) {
        let reviews = books.settle(&verdicts).writes.reviews;
        let mut told = BTreeMap::new();
        for (key, verdict) in &verdicts {
            if let Verdict::ReviewAfter(ms) = verdict {
                told.insert(*key, *ms);
            }
        }
        told.retain(|key, _| books.holds.get(key).is_some_and(|hold| hold.state == HoldState::Active));
        prop_assert_eq!(reviews, told);
    }

    #[test]
    fn what_was_placed_and_released_is_back_on_the_shelf((shelf, mut books) in placed()) {
        books.settle(&books.all(Verdict::Release));
        prop_assert_eq!(books.standing(), standing(&shelf));
        prop_assert!(books.taken.is_empty());
    }

    #[test]
    fn what_was_sold_and_released_is_back_on_the_shelf((shelf, books) in placed()) {
        let (commits, releases) = (books.all(Verdict::Commit), books.all(Verdict::Release));
        let (mut apart, mut together) = (books.clone(), books.clone());
        apart.settle(&commits);
        prop_assert_eq!(apart.standing(), books.standing(), "what is sold is not to be had");
        prop_assert!(apart.counts.values().all(|counts| counts.held == 0));
        apart.settle(&releases);
        prop_assert_eq!(apart.standing(), standing(&shelf));
        together.settle(&[commits, releases].concat());
        prop_assert_eq!(together, apart);
    }
}
