//! The decision on a batch of verdicts: what each makes of its hold, and what that gives back or sells. Pure.

use std::{
    collections::{BTreeMap, HashMap},
    hash::BuildHasher,
};

use super::{
    customer::CountKey,
    hold::{Hold, HoldKey, HoldState, Item, SeatKey},
    ids::ProductId,
};

/// What reservation decided about a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its units are sold.
    Commit,
    /// Its units go back on sale.
    Release,
    /// It is not due: leave it alone for so many ms.
    ReviewAfter(i64),
}

/// What a verdict did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The hold changed.
    Settled,
    /// It was there already, or past it.
    Unchanged,
    /// There is no such hold.
    Unknown,
}

/// How the counts of a product change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// To add to what is held.
    pub held: i64,
    /// To add to what is sold.
    pub sold: i64,
}

/// What is to be written, summed over the batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writes {
    /// The changes of counts.
    pub products: BTreeMap<ProductId, Delta>,
    /// The new state of each seat, with the hold that has it at the moment: COMMITTED is sold, RELEASED free.
    pub seats: BTreeMap<SeatKey, (HoldKey, HoldState)>,
    /// What customers get back of what was counted.
    pub counts: BTreeMap<CountKey, i64>,
    /// The new state of each hold.
    pub holds: BTreeMap<HoldKey, HoldState>,
    /// How long each hold that is not due is to be left alone, in ms.
    pub reviews: BTreeMap<HoldKey, i64>,
}

/// The decision on a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// One for each verdict, in their order.
    pub outcomes: Vec<Outcome>,
    /// What is to be written.
    pub writes: Writes,
}

/// Decides the batch; several verdicts on one hold count in their order.
#[must_use]
pub fn decide<S: BuildHasher>(
    mut holds: HashMap<HoldKey, Hold, S>,
    verdicts: &[(HoldKey, Verdict)],
) -> Decision {
    let mut decision = Decision::default();
    for (key, verdict) in verdicts {
        let outcome = match holds.get_mut(key) {
            None => Outcome::Unknown,
            Some(hold) => settle(hold, *verdict, &mut decision.writes),
        };
        decision.outcomes.push(outcome);
    }
    // What was bought goes on counting.
    decision.writes.counts.retain(|_, number| *number != 0);
    decision
}

fn settle(hold: &mut Hold, verdict: Verdict, writes: &mut Writes) -> Outcome {
    let to = match (hold.state, verdict) {
        (HoldState::Active, Verdict::Commit) => HoldState::Committed,
        (HoldState::Active | HoldState::Committed, Verdict::Release) => HoldState::Released,
        (HoldState::Active, Verdict::ReviewAfter(ms)) => {
            writes.reviews.insert(hold.key, ms);
            return Outcome::Settled;
        }
        (HoldState::Committed, Verdict::Commit | Verdict::ReviewAfter(_)) | (HoldState::Released, _) => {
            return Outcome::Unchanged;
        }
    };
    for line in &hold.lines {
        match &line.item {
            Item::Product { product_id, quantity } => {
                let delta = writes.products.entry(*product_id).or_default();
                match hold.state {
                    HoldState::Active => delta.held -= quantity,
                    HoldState::Committed => delta.sold -= quantity,
                    HoldState::Released => {}
                }
                if to == HoldState::Committed {
                    delta.sold += quantity;
                }
            }
            Item::Seat(key) => {
                writes.seats.insert(key.clone(), (hold.key, to));
            }
        }
    }
    for (key, number) in hold.counts_as(hold.state) {
        *writes.counts.entry(key).or_default() += number;
    }
    for (key, number) in hold.counts_as(to) {
        *writes.counts.entry(key).or_default() -= number;
    }
    hold.state = to;
    writes.holds.insert(hold.key, to);
    writes.reviews.remove(&hold.key);
    Outcome::Settled
}

#[cfg(test)]
mod tests;
