//! A model of the protocol between catalog, reservation, expirer and broker, searched through to the last state that its
//! bounds allow. `docs/model.md` says what it has shown.
//!
//! **What is real.** The decisions are those of the product, called as they are: `reservation::domain` (`Booking::apply`,
//! `promises`) and `catalog::domain` (`place::decide`, `settle::decide`). A rule that changes there changes here.
//!
//! **What is mirrored**, because it is SQL, RPC or glue: the flows of `reservation/src/app.rs`, the insert and the
//! tombstones of its stores, the relay, and the expirer (`step.rs`). Each step is one commit of one database, one
//! delivery or one failure; between any two of them anything else may happen, at any distance.
//!
//! **What is left out.**
//! - Time is discrete, and told as what is left of it. Lanes are gone: a parked timer may come back at any moment, also
//!   long before or after its deadline. Where only safety is asked for, the sweep looks whenever it likes: so the
//!   catalog's clock and the expirer's may be as wrong as they want.
//! - A crash takes what is in memory: calls under way, verdicts in hand. What was committed stays. Two steps of which the
//!   first changes nothing that others see are one step, and a call that was lost before its commit never was.
//! - Batches have one member: what a batch makes of many is the matter of the property tests of both domains.
//! - Replicas have no names: any step may be any replica's.
//! - Strangers here are operators, whose calls abandon what they placed. Those of a customer, for a draft of another's, leave it as
//!   a call that was lost does, until the sweep asks or the draft's holder abandons it: both are steps of the model.
//! - Events to other services, of which only one is looked at: `payment.refund_due`.
//!
//! **Liveness.** stateright judges `eventually` at the ends of paths, forgets it where paths join, and does not see
//! cycles. So the property is one that stays true once it is (`rest`), it is asked of a system that has become calm (no
//! more failures, no more customers; the calm may come in any state), and every step of the calm system has to decrease a
//! measure (`rank.rs`), so that there are no cycles. Together: whatever happened before, every run of the calm system
//! ends, and ends with every hold settled.

pub mod action;
pub mod bounds;
pub mod check;
pub mod property;
pub mod state;
pub mod variant;
pub mod worlds;

mod catalog;
mod rank;
mod reservation;
mod step;

use stateright::{Model, Property};

use crate::{action::Action, bounds::Bounds, state::State, variant::Variant};

/// The protocol, or a wrong one like it, in a world of some size.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// The world.
    pub bounds: Bounds,
    /// Which protocol.
    pub variant: Variant,
}

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::initial()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        if self.bounds.calm && !state.calm {
            actions.push(Action::Calm);
        }
        for booking in 0..self.bounds.bookings {
            self.steps(state, booking, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        match action {
            Action::Tick => state.tick(),
            Action::Calm => state.calm = true,
            Action::Booking(booking, step) => self.carry_out(&mut state, booking, step),
        }
        let mut state = state.canonical(self.bounds.bookings);
        if state == *last {
            return None;
        }
        let stalled = last.calm && rank::of(&state) >= rank::of(last);
        state.flaws.note(state::Flaws::STALLED, stalled);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        property::all(&self.bounds)
    }
}
