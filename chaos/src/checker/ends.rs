//! How it ends: releases in time, and every unit where it belongs.

use proto::catalog::SeatState;

use super::{Case, Evidence, Rule, Violation};
use crate::books::{Counts, LastHold, Record};
use crate::history::{Item, State};

/// The units of a hold that ran out went back on sale at its deadline at the earliest; by the databases' clocks, which are one.
pub(super) fn released_in_time(record: &Record, hold: Option<&LastHold>, case: &mut Case<'_>) {
    let was_held = |state| matches!(state, Some(State::Held | State::PaymentPending));
    let Some(expiry) = record.steps.last().filter(|step| step.to == State::Expired && was_held(step.from))
    else {
        return;
    };
    match (hold.and_then(|hold| hold.released), expiry.deadline) {
        (Some(released), Some(deadline)) if released < deadline => {
            let text = format!("its units were released at {released:?}, before {deadline:?}");
            case.wrong(Rule::DeadlinesAreKept, text);
        }
        (None, _) => case.wrong(Rule::NoUnitIsMissing, format!("it ran out; its hold is {hold:?}")),
        _ => {}
    }
}

/// Every unit and seat is where the bookings say.
pub(super) fn accounted_for(evidence: &Evidence<'_>, found: &mut Vec<Violation>) {
    let books = evidence.books;
    let mut sold = vec![0; books.products.len()];
    let mut owners = vec![0; books.seats.len()];
    let confirmed = evidence
        .lives
        .iter()
        .filter(|life| books.bookings.get(&life.id).is_some_and(|record| record.state == State::Confirmed));
    for item in confirmed.flat_map(|life| &life.items) {
        match item {
            Item::Units { product, quantity } => sold[*product] += quantity,
            Item::Seat(seat) => owners[*seat] += 1,
        }
    }
    let mut wrong = |text: String| {
        found.push(Violation { rule: Rule::NoUnitIsMissing, booking: None, text });
    };
    for (product, (counts, sold)) in books.products.iter().zip(sold).enumerate() {
        let on_hand = evidence.on_hand[product];
        let wanted = Counts { on_hand, available: on_hand - sold, held: 0, sold };
        if *counts != wanted {
            wrong(format!("product {product} has {counts:?}; its bookings say {wanted:?}"));
        }
    }
    for (seat, (state, owners)) in books.seats.iter().zip(owners).enumerate() {
        let wanted = if owners == 0 { SeatState::Free } else { SeatState::Sold };
        if *state != wanted || owners > 1 {
            wrong(format!("seat {seat} is {state:?}, with {owners} owners"));
        }
    }
}
