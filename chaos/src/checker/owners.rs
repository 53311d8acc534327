//! Who surely owned what, and when: from answers alone, and once more from the histories on record.
//!
//! By the answers, a booking surely owns its lines from the moment at which a client was told so until the earliest moment at which that can
//! have ended: its deadline as told, unless it was paid, or the first call to cancel it (which ends nothing once it is
//! paid) or to refund it. By its history it owns them from the step that held it, which comes after its hold was placed, to
//! the step that ended it, which comes before its hold is released, or to its deadline. Deadlines are the reservation database's, on the same machine; they are taken as earlier by the
//! tolerance.

use super::{Evidence, Rule, Violation};
use crate::books::Step;
use crate::history::{Item, Life, State, What};
use crate::time::Time;

/// A time in which a booking surely owned its lines.
struct Ownership<'a> {
    life: &'a Life,
    from: Time,
    to: Time,
}

/// No seat has two owners, and of no product more is owned than there is, at any time.
pub(super) fn one_at_a_time(evidence: &Evidence<'_>, found: &mut Vec<Violation>) {
    let owned: Vec<Ownership<'_>> =
        evidence.lives.iter().flat_map(|life| ownerships(life, evidence)).collect();
    check(&owned, evidence, found);
    let recorded: Vec<Ownership<'_>> =
        evidence.lives.iter().filter_map(|life| recorded(life, evidence)).collect();
    check(&recorded, evidence, found);
}

fn check(owned: &[Ownership<'_>], evidence: &Evidence<'_>, found: &mut Vec<Violation>) {
    for (product, on_hand) in evidence.on_hand.iter().enumerate() {
        units(product, *on_hand, owned, found);
    }
    for seat in 0..evidence.books.seats.len() {
        owners_of(seat, owned, found);
    }
}

/// The time in which a booking owned its lines by its history. All of it is by one clock: without tolerance.
fn recorded<'a>(life: &'a Life, evidence: &Evidence<'_>) -> Option<Ownership<'a>> {
    let steps = &evidence.books.bookings.get(&life.id)?.steps;
    let from = steps.iter().find(|step| step.to == State::Held)?.at;
    let ended = |step: &&Step| matches!(step.to, State::Cancelled | State::Expired | State::Refunded);
    let to = steps.iter().find(ended).map_or(Time::NEVER, |step| match (step.to, step.deadline) {
        (State::Expired, Some(deadline)) => step.at.min(deadline),
        _ => step.at,
    });
    (from < to).then_some(Ownership { life, from, to })
}

/// The times in which a booking surely owned its lines, none overlapping another.
fn ownerships<'a>(life: &'a Life, evidence: &Evidence<'_>) -> Vec<Ownership<'a>> {
    let first = |ends: fn(&What) -> bool| {
        let calls = life.calls.iter().filter(|call| ends(&call.what));
        calls.map(|call| call.first).min().unwrap_or(Time::NEVER)
    };
    let cancelled = first(|what| matches!(what, What::Cancel));
    let refunded = first(|what| matches!(what, What::Refund(_)));
    let mut owned: Vec<Ownership<'_>> = Vec::new();
    let mut told: Vec<_> = life.calls.iter().filter_map(|call| Some((call.replied, call.seen()?))).collect();
    told.sort_by_key(|(replied, _)| *replied);
    for (from, seen) in told {
        let to = match (seen.state, seen.deadline) {
            (State::Held | State::PaymentPending, Some(deadline)) => {
                deadline.minus(evidence.tolerance).min(cancelled).min(refunded)
            }
            (State::Confirmed, _) => refunded,
            _ => continue,
        };
        match owned.last_mut() {
            Some(last) if from <= last.to => last.to = last.to.max(to),
            _ if from < to => owned.push(Ownership { life, from, to }),
            _ => {}
        }
    }
    owned
}

fn owners_of(seat: usize, owned: &[Ownership<'_>], found: &mut Vec<Violation>) {
    let mut owners: Vec<&Ownership<'_>> =
        owned.iter().filter(|owned| owned.life.items.contains(&Item::Seat(seat))).collect();
    owners.sort_by_key(|owned| owned.from);
    let mut latest: Option<&Ownership<'_>> = None;
    for owner in owners {
        if let Some(before) = latest
            && owner.from < before.to
            && owner.life.id != before.life.id
        {
            found.push(Violation {
                rule: Rule::OneOwnerAtATime,
                booking: Some(owner.life.id),
                text: format!(
                    "it owned seat {seat} from {:?} on, and booking {} owned it until {:?}",
                    owner.from, before.life.id, before.to
                ),
            });
        }
        if latest.is_none_or(|before| owner.to > before.to) {
            latest = Some(owner);
        }
    }
}

fn units(product: usize, on_hand: i64, owned: &[Ownership<'_>], found: &mut Vec<Violation>) {
    let mut changes: Vec<(Time, i64)> = Vec::new();
    for owner in owned {
        let of_it = |item: &Item| match item {
            Item::Units { product: which, quantity } if *which == product => *quantity,
            Item::Units { .. } | Item::Seat(_) => 0,
        };
        let quantity: i64 = owner.life.items.iter().map(of_it).sum();
        if quantity > 0 {
            changes.extend([(owner.from, quantity), (owner.to, -quantity)]);
        }
    }
    // What is given back at an instant is there before what is taken at it.
    changes.sort_unstable();
    let mut sum = 0;
    let mut most = (0, Time::NEVER);
    for (at, change) in changes {
        sum += change;
        if sum > most.0 {
            most = (sum, at);
        }
    }
    if most.0 > on_hand {
        found.push(Violation {
            rule: Rule::OneOwnerAtATime,
            booking: None,
            text: format!("at {:?} {} units of product {product} were owned, of {on_hand}", most.1, most.0),
        });
    }
}
