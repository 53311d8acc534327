//! What each step does. The flows between the commits mirror `reservation/src/app.rs` (calls), `reservation/src/relay`
//! (outbox) and `expirer/src` (timers and sweep).

use ::reservation::domain::{
    booking::StateName,
    command::{Command, Placed, Verdict},
    promise::Settlement,
};
use catalog::domain::{hold::HoldState, settle};
use time::Duration;

use crate::{
    Protocol,
    action::{Ask, Step, Wrong},
    bounds::Sweep,
    catalog::Placement,
    reservation::{attempt, payment, refund_id},
    state::{Call, Carried, State, Timer},
    variant::Variant,
};

impl Protocol {
    /// Carries out a step. A step that is not possible changes nothing.
    pub(crate) fn carry_out(&self, state: &mut State, booking: u8, step: Step) {
        let at = usize::from(booking);
        let case = &mut state.cases[at];
        match step {
            Step::Asks(ask) => self.ask(state, booking, ask),
            Step::CallGoesOn(slot) => self.go_on(state, booking, slot),
            Step::CallDies(slot) => case.calls[usize::from(slot)] = Call::None,
            Step::TimerPublished | Step::TimerPublishedRowStays => {
                case.timer_row = step == Step::TimerPublishedRowStays;
                put(&mut case.timers, Timer::None, Timer::Parked);
            }
            Step::TimerLost => put(&mut case.timers, Timer::Parked, Timer::None),
            Step::TimerDoubled => put(&mut case.timers, Timer::None, Timer::Parked),
            Step::TimerAsks(copy) => self.timer_asks(state, booking, copy),
            Step::TimerSettles(copy) | Step::TimerSettlesUnacknowledged(copy) => {
                let acknowledged = step == Step::TimerSettles(copy);
                let next = if acknowledged { Timer::None } else { Timer::Parked };
                let Timer::Answered(carried) = std::mem::replace(&mut case.timers[usize::from(copy)], next)
                else {
                    return;
                };
                let held = case.record.map_or(1, |record| record.attempt);
                self.deliver(state, booking, held, carried);
            }
            Step::TimerDies(copy) => case.timers[usize::from(copy)] = Timer::Parked,
            Step::RelaySettles(attempt, verdict) | Step::RelaySettlesRowStays(attempt, verdict) => {
                if step == Step::RelaySettles(attempt, verdict) {
                    case.settle_rows.remove(attempt, verdict);
                }
                self.settle(state, booking, attempt, settlement(verdict));
            }
            Step::RelayGivesUp(attempt, verdict) => case.astray.add(attempt, verdict),
            Step::AstraySettles(attempt, verdict) => {
                case.astray.remove(attempt, verdict);
                self.settle(state, booking, attempt, settlement(verdict));
            }
            Step::SweepAsks(attempt) => self.sweep_asks(state, booking, attempt),
            Step::SweepSettles(attempt) => {
                let carried = std::mem::take(&mut case.sweeps[usize::from(attempt) - 1]);
                self.deliver(state, booking, attempt, carried);
            }
            Step::SweepDies(attempt) => case.sweeps[usize::from(attempt) - 1] = Carried::Nothing,
            Step::SweepExpiresDraft => drop(self.command(state, booking, &Command::Review, None)),
            Step::Wrong(wrong) => self.go_wrong(state, booking, wrong),
        }
    }

    fn ask(&self, state: &mut State, booking: u8, ask: Ask) {
        let extension = Duration::seconds(self.bounds.times.extension.into());
        match ask {
            Ask::CreateHeld => self.create(state, booking, false),
            Ask::CreateOther => self.create(state, booking, true),
            Ask::CreateDraft => {
                if state.cases[usize::from(booking)].record.is_none() {
                    self.insert(state, booking, false, false);
                }
            }
            Ask::Hold => self.read(state, booking, None),
            Ask::Extend => drop(self.command(state, booking, &Command::Extend(extension), None)),
            Ask::StartPayment => drop(self.command(state, booking, &Command::StartPayment, None)),
            Ask::CompletePayment(number) => {
                let command = Command::CompletePayment(payment(booking, number));
                let _ = self.command(state, booking, &command, Some(number));
            }
            Ask::Pay(number) => {
                let command = Command::Pay(payment(booking, number));
                let _ = self.command(state, booking, &command, Some(number));
            }
            Ask::Cancel => drop(self.command(state, booking, &Command::Cancel, None)),
            Ask::Refund => drop(self.command(state, booking, &Command::Refund(refund_id(booking)), None)),
        }
    }

    /// `App::create`: the first attempt's hold is placed before anything is known of the booking.
    fn create(&self, state: &mut State, booking: u8, other: bool) {
        let Some(slot) = self.free_slot(state, booking) else { return };
        if self.variant == Variant::HeldBeforePlaced && state.cases[usize::from(booking)].record.is_none() {
            self.insert(state, booking, true, other);
            state.cases[usize::from(booking)].calls[slot] = Call::Create { other };
            return;
        }
        match self.place(state, booking, 1, other) {
            Placement::Active => state.cases[usize::from(booking)].calls[slot] = Call::Create { other },
            // The booking is there, or may be. A draft goes on with its next attempt; any other is the answer.
            Placement::Settled | Placement::Reused => {
                let record = state.cases[usize::from(booking)].record;
                if record.is_some_and(|found| found.state == StateName::Initiated && found.other == other) {
                    self.read(state, booking, Some(slot));
                }
            }
            Placement::Refused => {}
        }
    }

    /// `App::hold`: the draft is read first; in `slot` if the call has one already.
    fn read(&self, state: &mut State, booking: u8, slot: Option<usize>) {
        let Some(record) = state.cases[usize::from(booking)].record else { return };
        if record.state == StateName::Initiated && record.left > 0 {
            if record.attempt <= self.bounds.attempts
                && let Some(slot) = slot.or_else(|| self.free_slot(state, booking))
            {
                state.cases[usize::from(booking)].calls[slot] = Call::Read(record.attempt);
            }
        } else {
            self.command(state, booking, &Command::Hold(None), None);
        }
    }

    fn free_slot(&self, state: &State, booking: u8) -> Option<usize> {
        let calls = &state.cases[usize::from(booking)].calls[..self.bounds.calls];
        let taken =
            state.cases[usize::from(booking)].calls.iter().filter(|call| **call != Call::None).count();
        if taken >= self.bounds.calls {
            return None;
        }
        // Calls are kept sorted, the free ones first.
        calls.iter().position(|call| *call == Call::None)
    }

    /// The next commit of a call.
    fn go_on(&self, state: &mut State, booking: u8, slot: u8) {
        let slot = usize::from(slot);
        let call = std::mem::take(&mut state.cases[usize::from(booking)].calls[slot]);
        match call {
            Call::None => {}
            Call::Create { other } if self.variant == Variant::HeldBeforePlaced => {
                self.place(state, booking, 1, other);
            }
            Call::Create { other } => self.insert_or_find(state, booking, slot, other),
            Call::Abandon => drop(self.command(state, booking, &Command::Abandon(attempt(1)), None)),
            Call::Read(number) => {
                let other = state.cases[usize::from(booking)].record.is_some_and(|record| record.other);
                let next = match self.place(state, booking, number, other) {
                    Placement::Active => Call::Placed(number),
                    // By a creation, and those place under the first attempt.
                    Placement::Reused => Call::Abandon,
                    Placement::Settled | Placement::Refused => Call::None,
                };
                state.cases[usize::from(booking)].calls[slot] = next;
            }
            Call::Placed(number) => {
                let placed = Placed {
                    attempt: attempt(number),
                    ttl: Duration::seconds(self.bounds.times.hold.into()),
                    currency: String::new(),
                    unit_prices_minor: vec![1],
                };
                // Superseded: the call reads the draft again, as one that is asked for anew does.
                self.command(state, booking, &Command::Hold(Some(placed)), None);
            }
        }
    }

    /// `App::create` after the placement: the insert wins, or the booking that is there says what to do.
    fn insert_or_find(&self, state: &mut State, booking: u8, slot: usize, other: bool) {
        let Some(record) = state.cases[usize::from(booking)].record else {
            return self.insert(state, booking, true, other);
        };
        if record.tombstone {
            return;
        }
        let case = &mut state.cases[usize::from(booking)];
        if record.other != other || !record.is_open() {
            case.calls[slot] = Call::Abandon;
        } else if record.state == StateName::Initiated {
            self.read(state, booking, Some(slot));
        }
    }

    fn timer_asks(&self, state: &mut State, booking: u8, copy: u8) {
        let Some(record) = state.cases[usize::from(booking)].record else { return };
        // What a message could say is the deadline as it was when the hold was placed.
        let ran_out_at_first = record.is_open() && record.left > 0 && record.first_left <= 0;
        let carried = match self.variant {
            Variant::ReleaseWithoutVerdict => Carried::Release,
            Variant::VerdictInTheMessage if ran_out_at_first => Carried::Release,
            _ => match self.resolve(state, booking, record.attempt) {
                Verdict::Release { .. } => Carried::Release,
                Verdict::Commit => Carried::Commit,
                // Parked again: it may come back whenever it likes, as before.
                Verdict::NotDue { .. } => return,
            },
        };
        state.cases[usize::from(booking)].timers[usize::from(copy)] = Timer::Answered(carried);
    }

    fn sweep_asks(&self, state: &mut State, booking: u8, attempt: u8) {
        let carried = match self.resolve(state, booking, attempt) {
            Verdict::Release { .. } => Carried::Release,
            Verdict::Commit => Carried::Commit,
            Verdict::NotDue { .. } if self.variant == Variant::NotDueIsListedAgain => Carried::Review(0),
            Verdict::NotDue { deadline } if self.bounds.sweep == Sweep::WhenDue => {
                Carried::Review(Self::left(deadline) + self.bounds.times.grace)
            }
            Verdict::NotDue { .. } => Carried::Nothing,
        };
        state.cases[usize::from(booking)].sweeps[usize::from(attempt) - 1] = carried;
    }

    /// A verdict reaches the catalog.
    fn deliver(&self, state: &mut State, booking: u8, attempt: u8, carried: Carried) {
        match carried {
            Carried::Nothing => {}
            Carried::Release => self.settle(state, booking, attempt, settle::Verdict::Release),
            Carried::Commit => self.settle(state, booking, attempt, settle::Verdict::Commit),
            Carried::Review(after) => {
                self.settle(state, booking, attempt, settle::Verdict::ReviewAfter(after.into()));
            }
        }
    }

    fn go_wrong(&self, state: &mut State, booking: u8, wrong: Wrong) {
        let case = &mut state.cases[usize::from(booking)];
        match wrong {
            Wrong::CatalogReleases(attempt) => {
                let hold = case.holds[usize::from(attempt) - 1];
                if hold.is_some_and(|hold| hold.state == HoldState::Active && hold.review_left == 0) {
                    self.settle(state, booking, attempt, settle::Verdict::Release);
                }
            }
            Wrong::Compensates(slot) => {
                self.go_on(state, booking, slot);
                self.settle(state, booking, 1, settle::Verdict::Release);
            }
            Wrong::RowDeletedUnconfirmed => case.timer_row = false,
        }
    }
}

/// Turns the first `from` into `to`.
fn put(timers: &mut [Timer], from: Timer, to: Timer) {
    if let Some(timer) = timers.iter_mut().find(|timer| **timer == from) {
        *timer = to;
    }
}

const fn settlement(verdict: Settlement) -> settle::Verdict {
    match verdict {
        Settlement::Commit => settle::Verdict::Commit,
        Settlement::Release => settle::Verdict::Release,
    }
}
