//! The catalog's commits: `place::decide` and `settle::decide` of the catalog itself, on what the state says.

use std::collections::{HashMap, HashSet};

use catalog::domain::{
    customer::CustomerLimit,
    hold::{Hold, HoldKey, HoldState, Item, Line, SeatKey},
    ids::{BookingId, ProductId, SeatMapId},
    place::{self, Outcome, PlaceRequest, ProductOnSale, Refusal, SeatOnSale, Shelf, Terms},
    settle::{self, Verdict},
};
use uuid::Uuid;

use crate::{
    Protocol,
    state::{Flaws, HoldRow, SeatTaken, State},
    variant::Variant,
};

/// What a call learns of the hold that it asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// Its units are held.
    Active,
    /// It was there before, and is settled.
    Settled,
    /// Another call placed something else under its key.
    Reused,
    /// There is none.
    Refused,
}

fn product_id() -> ProductId {
    Uuid::from_u128(11).into()
}

fn seat_key() -> SeatKey {
    SeatKey { seat_map_id: SeatMapId::from(Uuid::from_u128(12)), label: "12A".to_owned() }
}

fn key(booking: u8, attempt: u8) -> HoldKey {
    let booking_id = BookingId::from(Uuid::from_u128(1 + u128::from(booking)));
    HoldKey { booking_id, attempt: attempt.into() }
}

impl Protocol {
    /// Units that a booking takes; with the other content one more.
    pub(crate) const fn units(&self, other: bool) -> i8 {
        self.bounds.units + other as i8
    }

    fn items(&self, other: bool) -> Vec<Item> {
        let product = Item::Product { product_id: product_id(), quantity: self.units(other).into() };
        let seat = self.bounds.seat.then(|| Item::Seat(seat_key()));
        std::iter::once(product).chain(seat).collect()
    }

    fn hold(&self, booking: u8, attempt: u8, row: HoldRow) -> Hold {
        let lines = self
            .items(row.other)
            .into_iter()
            .map(|item| Line { item, price_minor: 1, counts: false })
            .collect();
        Hold {
            key: key(booking, attempt),
            state: row.state,
            lines,
            currency: String::new(),
            hold_ttl_ms: self.bounds.times.hold.into(),
            customer_id: None,
            counts_open: false,
        }
    }

    /// PlaceHolds commits. Done again at once, it has to find its own hold.
    pub(crate) fn place(&self, state: &mut State, booking: u8, attempt: u8, other: bool) -> Placement {
        let (outcome, wrote) = self.place_once(state, booking, attempt, other);
        if wrote {
            let again = self.place_once(&mut state.clone(), booking, attempt, other);
            state.flaws.note(Flaws::REPEATED, again != (outcome, false));
        }
        outcome
    }

    fn place_once(&self, state: &mut State, booking: u8, attempt: u8, other: bool) -> (Placement, bool) {
        let request = PlaceRequest {
            key: key(booking, attempt),
            items: self.items(other),
            asked_ttl_ms: None,
            customer_id: None,
        };
        let decision = place::decide(self.shelf(state, booking, attempt), &[request]);
        for units in decision.writes.products.values() {
            state.held += i8::try_from(*units).expect("a model has few units");
        }
        if !decision.writes.seats.is_empty() {
            state.seat = Some(SeatTaken { booking, attempt, sold: false });
        }
        let review_left = match self.bounds.sweep {
            crate::bounds::Sweep::WhenDue => self.bounds.times.hold + self.bounds.times.grace,
            _ => 0,
        };
        for hold in &decision.writes.holds {
            let row = HoldRow { state: hold.state, other, review_left };
            state.cases[usize::from(booking)].holds[usize::from(attempt) - 1] = Some(row);
        }
        let placement = match decision.outcomes.first() {
            Some(Outcome::Placed(hold)) if hold.state == HoldState::Active => Placement::Active,
            Some(Outcome::Placed(_)) => Placement::Settled,
            Some(Outcome::Refused { reason: Refusal::IdReused(_), .. }) => Placement::Reused,
            Some(Outcome::Refused { .. } | Outcome::Damaged) | None => Placement::Refused,
        };
        (placement, !decision.writes.holds.is_empty())
    }

    /// What the batch sees: what it takes is guarded, so the two are one step.
    fn shelf(&self, state: &State, booking: u8, attempt: u8) -> Shelf {
        let terms = Terms {
            price_minor: 1,
            currency: String::new(),
            hold_ttl_ms: self.bounds.times.hold.into(),
            customer_limit: CustomerLimit::NONE,
        };
        let available = self.bounds.on_hand - state.held - state.sold;
        let product = ProductOnSale { available: available.into(), terms: terms.clone() };
        let taken = if state.seat.is_some() { SeatOnSale::Taken } else { SeatOnSale::Free };
        let row = state.cases[usize::from(booking)].holds[usize::from(attempt) - 1];
        Shelf {
            products: HashMap::from([(product_id(), product)]),
            seats: self.bounds.seat.then(|| (seat_key(), (taken, terms))).into_iter().collect(),
            seat_maps: HashSet::new(),
            holds: row
                .map(|row| self.hold(booking, attempt, row))
                .into_iter()
                .map(|hold| (hold.key, hold))
                .collect(),
            ..Shelf::default()
        }
    }

    /// SettleHolds commits. Done again at once, it must not change anything.
    pub(crate) fn settle(&self, state: &mut State, booking: u8, attempt: u8, verdict: Verdict) {
        if self.settle_once(state, booking, attempt, verdict) && !matches!(verdict, Verdict::ReviewAfter(_)) {
            let again = self.settle_once(&mut state.clone(), booking, attempt, verdict);
            state.flaws.note(Flaws::REPEATED, again);
        }
    }

    fn settle_once(&self, state: &mut State, booking: u8, attempt: u8, verdict: Verdict) -> bool {
        let Some(row) = state.cases[usize::from(booking)].holds[usize::from(attempt) - 1] else {
            return false;
        };
        let mut hold = self.hold(booking, attempt, row);
        match (self.variant, hold.state, verdict) {
            (Variant::SettleTwice, HoldState::Released, Verdict::Release) => hold.state = HoldState::Active,
            (Variant::SettleBackwards, HoldState::Released, Verdict::Commit) => {
                state.held += self.units(row.other);
                hold.state = HoldState::Active;
            }
            _ => {}
        }
        let held_before = hold.state;
        let decision = settle::decide(HashMap::from([(hold.key, hold)]), &[(key(booking, attempt), verdict)]);
        for delta in decision.writes.products.values() {
            state.held += i8::try_from(delta.held).expect("a model has few units");
            state.sold += i8::try_from(delta.sold).expect("a model has few units");
        }
        for (holder, to) in decision.writes.seats.values() {
            debug_assert_eq!(*holder, key(booking, attempt));
            state.seat = (*to == HoldState::Committed).then_some(SeatTaken { booking, attempt, sold: true });
        }
        let row = state.cases[usize::from(booking)].holds[usize::from(attempt) - 1].as_mut();
        let row = row.expect("it was there when it was locked");
        row.state = decision.writes.holds.values().next().copied().unwrap_or(held_before);
        if let Some(after) = decision.writes.reviews.values().next() {
            row.review_left = u8::try_from(*after).expect("a model has little time");
        }
        if row.state != HoldState::Active {
            row.review_left = 0;
        }
        decision.writes != settle::Writes::default()
    }
}
