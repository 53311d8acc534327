//! The steps: each is one commit, one delivery or one failure. What a step does says `step.rs`.

use catalog::domain::hold::HoldState;
use reservation::domain::{booking::StateName, promise::Settlement};
use stateright::Model as _;

use crate::{
    Protocol,
    bounds::Sweep,
    state::{Call, Carried, Case, State, Timer},
    variant::Variant,
};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Tick,
    /// From here on nothing fails, and no customer asks for anything.
    Calm,
    /// Something happens to a booking.
    Booking(u8, Step),
}

/// A step that is about one booking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A customer asks, for the first time or again.
    Asks(Ask),
    /// A call that is under way makes its next commit.
    CallGoesOn(u8),
    /// The process that carries it dies, or nobody waits for the answer of its last commit.
    CallDies(u8),
    /// The relay publishes the timer and deletes its row.
    TimerPublished,
    /// The relay publishes the timer and dies before its row is deleted.
    TimerPublishedRowStays,
    /// The broker loses a timer.
    TimerLost,
    /// The broker delivers a timer twice.
    TimerDoubled,
    /// The expirer asks for a verdict because of this copy.
    TimerAsks(u8),
    /// It carries the verdict over and acknowledges the copy.
    TimerSettles(u8),
    /// It carries the verdict over and dies before the acknowledgement.
    TimerSettlesUnacknowledged(u8),
    /// It dies with the verdict in hand: the copy comes again.
    TimerDies(u8),
    /// The relay carries a verdict over and deletes its row.
    RelaySettles(u8, Settlement),
    /// The relay carries it over and dies before the row is deleted.
    RelaySettlesRowStays(u8, Settlement),
    /// The call that carries it is given up by its sender, but not gone.
    RelayGivesUp(u8, Settlement),
    /// A call that was given up reaches the catalog.
    AstraySettles(u8, Settlement),
    /// The sweep lists the hold of this attempt and asks for its verdict.
    SweepAsks(u8),
    /// The sweep carries the verdict over.
    SweepSettles(u8),
    /// The sweep dies with the verdict in hand.
    SweepDies(u8),
    /// The sweep expires the draft.
    SweepExpiresDraft,
    /// A step that only a wrong protocol makes.
    Wrong(Wrong),
}

/// What only wrong protocols do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// The catalog releases the hold of this attempt because its own clock says so.
    CatalogReleases(u8),
    /// The insert of this call commits, its answer is lost, and the call releases the hold.
    Compensates(u8),
    /// The relay deletes the timer row and dies before the broker has confirmed.
    RowDeletedUnconfirmed,
}

/// What a customer may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// `CreateBooking{hold: true}`.
    CreateHeld,
    /// The same id with another content.
    CreateOther,
    /// `CreateBooking` of a draft.
    CreateDraft,
    /// `HoldBooking`.
    Hold,
    /// `ExtendHold`.
    Extend,
    /// `StartPayment`.
    StartPayment,
    /// `CompletePayment` with the payment of this number.
    CompletePayment(u8),
    /// `PayBooking` with the payment of this number.
    Pay(u8),
    /// `CancelBooking`.
    Cancel,
    /// `RefundBooking`.
    Refund,
}

/// The payment that takes money.
pub const MONEY: u8 = 0;
/// Another one that does.
pub const MORE_MONEY: u8 = 1;
/// One that does not.
pub const NO_MONEY: u8 = 2;

/// What may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A process dies between two commits of a call, or a reply is lost.
    CallDies,
    /// The broker loses timers.
    TimerLost,
    /// The broker doubles timers.
    TimerDoubled,
    /// The expirer dies between verdict, settlement and acknowledgement.
    ExpirerDies,
    /// The relay dies between delivery and deletion.
    RelayDies,
    /// Settlements are given up, and arrive long after.
    SettleLate,
}

impl Protocol {
    /// Everything that may happen next to a booking.
    pub(crate) fn steps(&self, state: &State, booking: u8, actions: &mut Vec<Action>) {
        let case = &state.cases[usize::from(booking)];
        let mut steps = Vec::with_capacity(24);
        self.of_the_protocol(case, &mut steps);
        if !state.calm {
            steps.extend(self.bounds.asks.iter().map(|ask| Step::Asks(*ask)));
            self.faults(case, &mut steps);
        }
        self.wrong(case, state.calm, &mut steps);
        actions.extend(steps.into_iter().map(|step| Action::Booking(booking, step)));
    }

    /// What the parts do by themselves.
    fn of_the_protocol(&self, case: &Case, steps: &mut Vec<Step>) {
        for (slot, call) in (0..).zip(case.calls) {
            if call != Call::None {
                steps.push(Step::CallGoesOn(slot));
            }
        }
        if case.timer_row && self.has_room(case) {
            steps.push(Step::TimerPublished);
        }
        for (copy, timer) in (0..).zip(case.timers) {
            match timer {
                Timer::None => {}
                Timer::Parked => steps.push(Step::TimerAsks(copy)),
                Timer::Answered(_) => steps.push(Step::TimerSettles(copy)),
            }
        }
        steps.extend(case.settle_rows.iter().map(|(attempt, verdict)| Step::RelaySettles(attempt, verdict)));
        steps.extend(case.astray.iter().map(|(attempt, verdict)| Step::AstraySettles(attempt, verdict)));
        if self.bounds.sweep != Sweep::Off {
            for (attempt, carried) in (1u8..).zip(case.sweeps) {
                match carried {
                    Carried::Nothing => {
                        let hold = case.holds[usize::from(attempt) - 1];
                        let overdue =
                            hold.is_some_and(|hold| hold.state == HoldState::Active && hold.review_left == 0);
                        steps.extend(overdue.then_some(Step::SweepAsks(attempt)));
                    }
                    Carried::Release | Carried::Commit | Carried::Review(_) => {
                        steps.push(Step::SweepSettles(attempt));
                    }
                }
            }
            let abandoned =
                case.record.is_some_and(|record| record.state == StateName::Initiated && record.left == 0);
            steps.extend(abandoned.then_some(Step::SweepExpiresDraft));
        }
    }

    fn faults(&self, case: &Case, steps: &mut Vec<Step>) {
        let may = |fault| self.bounds.may(fault);
        for (slot, call) in (0..).zip(case.calls) {
            if call != Call::None && may(Fault::CallDies) {
                steps.push(Step::CallDies(slot));
            }
        }
        if may(Fault::RelayDies) {
            if case.timer_row && self.has_room(case) {
                steps.push(Step::TimerPublishedRowStays);
            }
            steps
                .extend(case.settle_rows.iter().map(|(attempt, of)| Step::RelaySettlesRowStays(attempt, of)));
        }
        if may(Fault::SettleLate) {
            steps.extend(case.settle_rows.iter().map(|(attempt, of)| Step::RelayGivesUp(attempt, of)));
        }
        if case.timers.contains(&Timer::Parked) {
            steps.extend(may(Fault::TimerLost).then_some(Step::TimerLost));
            steps.extend((may(Fault::TimerDoubled) && self.has_room(case)).then_some(Step::TimerDoubled));
        }
        if may(Fault::ExpirerDies) {
            for (copy, timer) in (0..).zip(case.timers) {
                if matches!(timer, Timer::Answered(_)) {
                    steps.extend([Step::TimerSettlesUnacknowledged(copy), Step::TimerDies(copy)]);
                }
            }
            for (attempt, carried) in (1..).zip(case.sweeps) {
                steps.extend((carried != Carried::Nothing).then_some(Step::SweepDies(attempt)));
            }
        }
    }

    fn wrong(&self, case: &Case, calm: bool, steps: &mut Vec<Step>) {
        match self.variant {
            Variant::CatalogReleasesByItsOwnTimer => {
                steps.extend(
                    (1..=self.bounds.attempts).map(|attempt| Step::Wrong(Wrong::CatalogReleases(attempt))),
                );
            }
            Variant::ReleaseOnUnknownOutcome if !calm => {
                let creating = (0..).zip(case.calls).filter(|(_, call)| matches!(call, Call::Create { .. }));
                steps.extend(creating.map(|(slot, _)| Step::Wrong(Wrong::Compensates(slot))));
            }
            Variant::RowDeletedBeforeTheConfirm if !calm && case.timer_row => {
                steps.push(Step::Wrong(Wrong::RowDeletedUnconfirmed));
            }
            _ => {}
        }
    }

    /// Whether the broker may get another copy of a timer.
    fn has_room(&self, case: &Case) -> bool {
        case.timers.iter().filter(|timer| **timer != Timer::None).count() < self.bounds.copies
    }

    /// The states that follow, for those who do not care about the steps.
    #[must_use]
    pub fn after(&self, state: &State) -> Vec<State> {
        self.next_states(state)
    }
}
