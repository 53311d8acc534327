//! The transitions: what each command makes of a booking, and what it refuses.
//!
//! Every command first lets the clock have its say: a booking whose deadline has passed is EXPIRED before anything else
//! is looked at, so the answer never depends on whether a timer came first. A repeat of a step already made is a
//! success that changes nothing.

use time::{Duration, OffsetDateTime};

use super::{
    booking::{Booking, Hold, State, StateName},
    command::{
        Change, Command, Known, Payment, PaymentOutcome, Placed, Policy, Refusal, Reply, Step, Verdict,
    },
    ids::{Attempt, RefundId},
    line::total_minor,
};

impl Booking {
    /// Applies `command` at `now`. `known` tells what the command's payment or refund id was used for before.
    pub fn apply(
        &mut self,
        command: &Command,
        known: Known,
        policy: &Policy,
        now: OffsetDateTime,
    ) -> (Change, Result<Reply, Refusal>) {
        let mut change = Change::default();
        if self.state.open_until().is_some_and(|deadline| now >= deadline) {
            let hold = self.state.hold().cloned();
            self.step(&mut change, State::Expired { hold, expired_at: now }, None);
        }
        let answer = match command {
            Command::Hold(placed) => done(self.hold(&mut change, placed.as_ref(), now)),
            Command::Extend(extension) => done(self.extend(&mut change, *extension, policy)),
            Command::StartPayment => done(self.start_payment(&mut change, policy, now)),
            Command::CompletePayment(payment) => done(self.complete_payment(&mut change, *payment, known)),
            Command::Pay(payment) => done(self.pay(&mut change, *payment, known)),
            Command::Cancel => done(self.cancel(&mut change)),
            Command::Refund(refund_id) => done(self.refund(&mut change, *refund_id, known)),
            Command::Resolve(attempt) => Ok(Reply::Verdict(self.verdict(&mut change, *attempt))),
            Command::Abandon(attempt) => {
                let verdict = self.verdict(&mut change, *attempt);
                change.stray = matches!(verdict, Verdict::Release { .. }).then_some(*attempt);
                Ok(Reply::Done)
            }
            Command::Review => Ok(Reply::Done),
        };
        // An attempt that moves on is nothing that a caller sees.
        if !change.steps.is_empty() {
            self.updated_at = now;
        }
        (change, answer)
    }

    /// Moves to `state` and notes the step.
    fn step(&mut self, change: &mut Change, state: State, reference: Option<uuid::Uuid>) {
        let from = self.state.name();
        self.state = state;
        self.history_length += 1;
        change.steps.push(Step { from, to: self.state.name(), deadline: self.deadline(), reference });
    }

    const fn illegal(&self, to: StateName) -> Result<(), Refusal> {
        Err(Refusal::Illegal { from: self.state.name(), to })
    }

    fn hold(
        &mut self,
        change: &mut Change,
        placed: Option<&Placed>,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        let own = placed.is_some_and(|placed| placed.attempt == self.attempt);
        match (&self.state, placed) {
            (State::Initiated { .. }, Some(placed)) if own => {
                for (line, price) in self.lines.iter_mut().zip(&placed.unit_prices_minor) {
                    line.unit_price_minor = Some(*price);
                }
                let hold = Hold {
                    held_at: now,
                    ttl: placed.ttl,
                    deadline: now + placed.ttl,
                    window_given: false,
                    currency: placed.currency.clone(),
                    total_minor: total_minor(&self.lines),
                };
                self.step(change, State::Held(hold), None);
                Ok(())
            }
            (State::Initiated { .. }, _) => Err(Refusal::Superseded),
            (State::Held(_), _) => Ok(()),
            (State::PaymentPending(_) | State::Confirmed { .. }, _) => self.illegal(StateName::Held),
            (State::Refunded { .. } | State::Cancelled { .. } | State::Expired { .. }, _) => {
                change.stray = placed.map(|placed| placed.attempt);
                self.illegal(StateName::Held)
            }
        }
    }

    fn extend(&mut self, change: &mut Change, by: Duration, policy: &Policy) -> Result<(), Refusal> {
        let State::Held(hold) = &self.state else {
            return self.illegal(StateName::Held);
        };
        let target = hold.first_deadline() + by;
        let latest = hold.first_deadline().max(hold.held_at + policy.max_hold);
        if target <= hold.deadline {
            return Ok(());
        }
        if target > latest {
            return Err(Refusal::LifetimeExceeded { latest });
        }
        let hold = Hold { deadline: target, ..hold.clone() };
        self.step(change, State::Held(hold), None);
        Ok(())
    }

    fn start_payment(
        &mut self,
        change: &mut Change,
        policy: &Policy,
        now: OffsetDateTime,
    ) -> Result<(), Refusal> {
        match &self.state {
            State::PaymentPending(_) => Ok(()),
            State::Held(hold) => {
                let mut hold = hold.clone();
                if !hold.window_given {
                    hold.deadline = hold.deadline.max(now + policy.payment_window);
                    hold.window_given = true;
                }
                self.step(change, State::PaymentPending(hold), None);
                Ok(())
            }
            _ => self.illegal(StateName::PaymentPending),
        }
    }

    /// Both steps in one. No window is given: there is nothing to wait for.
    fn pay(&mut self, change: &mut Change, payment: Payment, known: Known) -> Result<(), Refusal> {
        if let (State::Held(hold), Known::Unused) = (&self.state, known) {
            let pending = State::PaymentPending(hold.clone());
            self.step(change, pending, None);
        }
        self.complete_payment(change, payment, known)
    }

    fn complete_payment(
        &mut self,
        change: &mut Change,
        payment: Payment,
        known: Known,
    ) -> Result<(), Refusal> {
        let Payment { id, success } = payment;
        match known {
            Known::Unused => {}
            Known::Payment { booking_id, outcome } if booking_id == self.id => {
                return self.payment_again(success, outcome);
            }
            // An id is one booking's for good: it never pays for another one.
            Known::Payment { booking_id, outcome } => {
                let failed = outcome == PaymentOutcome::Failed;
                return Err(Refusal::IdReused { used_for: booking_id, failed });
            }
            Known::Refund { booking_id } => {
                return Err(Refusal::IdReused { used_for: booking_id, failed: false });
            }
        }
        let reference = Some(id.get());
        let late = match (&self.state, success) {
            (State::PaymentPending(hold), true) => {
                let confirmed = State::Confirmed { hold: hold.clone(), payment_id: id };
                self.step(change, confirmed, reference);
                change.payment = Some((id, PaymentOutcome::Accepted));
                return Ok(());
            }
            (State::PaymentPending(hold), false) => {
                let back = State::Held(hold.clone());
                self.step(change, back, reference);
                change.payment = Some((id, PaymentOutcome::Failed));
                return Ok(());
            }
            (State::Expired { .. }, false) => {
                change.payment = Some((id, PaymentOutcome::Failed));
                return Ok(());
            }
            (
                State::Expired { .. }
                | State::Cancelled { .. }
                | State::Confirmed { .. }
                | State::Refunded { .. },
                true,
            ) => self.late_payment(),
            (State::Initiated { .. } | State::Held(_), true) => return self.illegal(StateName::Confirmed),
            (_, false) => return self.illegal(StateName::Held),
        };
        change.payment = Some((id, PaymentOutcome::RefundDue));
        Err(late)
    }

    /// Why money that came now must go back.
    const fn late_payment(&self) -> Refusal {
        match &self.state {
            State::Cancelled { .. } => Refusal::BookingCancelled,
            State::Confirmed { .. } | State::Refunded { .. } => Refusal::AlreadyPaid,
            State::Expired { .. } | State::Initiated { .. } | State::Held(_) | State::PaymentPending(_) => {
                Refusal::HoldExpired
            }
        }
    }

    /// A payment that was reported before is answered as it was then.
    const fn payment_again(&self, success: bool, outcome: PaymentOutcome) -> Result<(), Refusal> {
        match (outcome, success) {
            (PaymentOutcome::Accepted, true) | (PaymentOutcome::Failed, false) => Ok(()),
            (PaymentOutcome::RefundDue, true) => Err(self.late_payment()),
            (PaymentOutcome::Accepted | PaymentOutcome::RefundDue, false) => {
                Err(Refusal::IdReused { used_for: self.id, failed: false })
            }
            (PaymentOutcome::Failed, true) => Err(Refusal::IdReused { used_for: self.id, failed: true }),
        }
    }

    fn cancel(&mut self, change: &mut Change) -> Result<(), Refusal> {
        match &self.state {
            State::Cancelled { .. } => Ok(()),
            State::Initiated { .. } | State::Held(_) | State::PaymentPending(_) => {
                let hold = self.state.hold().cloned();
                self.step(change, State::Cancelled { hold }, None);
                Ok(())
            }
            State::Confirmed { .. } | State::Refunded { .. } | State::Expired { .. } => {
                self.illegal(StateName::Cancelled)
            }
        }
    }

    fn refund(&mut self, change: &mut Change, id: RefundId, known: Known) -> Result<(), Refusal> {
        match (&self.state, known) {
            (State::Refunded { refund_id, .. }, _) if *refund_id == id => Ok(()),
            (_, Known::Refund { booking_id }) if booking_id != self.id => {
                Err(Refusal::IdReused { used_for: booking_id, failed: false })
            }
            (State::Confirmed { hold, payment_id }, _) => {
                let (hold, payment_id) = (hold.clone(), *payment_id);
                self.step(change, State::Refunded { hold, payment_id, refund_id: id }, Some(id.get()));
                Ok(())
            }
            _ => self.illegal(StateName::Refunded),
        }
    }

    /// What is to become of the hold of `attempt`. A draft whose attempt left a hold behind moves on to the next one.
    fn verdict(&mut self, change: &mut Change, attempt: Attempt) -> Verdict {
        match &self.state {
            State::Initiated { .. } => {
                if attempt >= self.attempt {
                    self.attempt = attempt.next();
                    change.attempt_moved = true;
                }
                Verdict::Release { expired: None }
            }
            _ if attempt != self.attempt => Verdict::Release { expired: None },
            State::Held(hold) | State::PaymentPending(hold) => Verdict::NotDue { deadline: hold.deadline },
            State::Confirmed { .. } => Verdict::Commit,
            State::Expired { hold, .. } => {
                Verdict::Release { expired: hold.as_ref().map(|hold| hold.deadline) }
            }
            State::Cancelled { .. } | State::Refunded { .. } => Verdict::Release { expired: None },
        }
    }
}

fn done(answer: Result<(), Refusal>) -> Result<Reply, Refusal> {
    answer.map(|()| Reply::Done)
}
