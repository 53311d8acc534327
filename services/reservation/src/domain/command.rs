//! The transitions: what each command makes of a booking, and what it refuses.
//!
//! Every command first lets the clock have its say: a booking whose deadline has passed is EXPIRED before anything else
//! is looked at, so the answer never depends on whether a timer came first. A repeat of a step already made is a
//! success that changes nothing.

use time::{Duration, OffsetDateTime};

use super::{
    booking::{Booking, Hold, State, StateName},
    ids::{Attempt, BookingId, PaymentId, RefundId},
};

/// The rules that the operator sets.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// How much time StartPayment gives at least, once.
    pub payment_window: Duration,
    /// How long extensions may make a hold's life.
    pub max_hold: Duration,
}

/// What somebody wants of a booking.
#[derive(Clone, Debug)]
pub enum Command {
    /// INITIATED to HELD, with what the catalog placed; none when the booking was no draft when it was looked at.
    Hold(Option<Placed>),
    /// A later deadline: this much after the first one.
    Extend(Duration),
    /// HELD to PAYMENT_PENDING.
    StartPayment,
    /// How a payment that was started ended.
    CompletePayment(Payment),
    /// Both steps in one.
    Pay(Payment),
    /// Give the units back.
    Cancel,
    /// Pay back and give the units back.
    Refund(RefundId),
    /// What is to become of the hold of this attempt?
    Resolve(Attempt),
    /// A hold of this attempt was placed for a request that was then refused: release it, unless it is the booking's.
    Abandon(Attempt),
    /// Only let the clock have its say.
    Review,
}

/// A hold that the catalog placed for a draft.
#[derive(Clone, Debug)]
pub struct Placed {
    /// For which attempt.
    pub attempt: Attempt,
    /// For how long.
    pub ttl: Duration,
    /// The currency of the prices.
    pub currency: String,
    /// The price of one unit of each line, in minor units.
    pub unit_prices_minor: Vec<i64>,
}

/// A payment as reported.
#[derive(Clone, Copy, Debug)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// Whether it took money.
    pub success: bool,
}

/// What a payment or refund id was used for before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// For nothing.
    Unused,
    /// For this payment.
    Payment {
        /// Of this booking.
        booking_id: BookingId,
        /// With this end.
        outcome: PaymentOutcome,
    },
    /// For the refund of this booking.
    Refund {
        /// The booking.
        booking_id: BookingId,
    },
}

/// What a reported payment came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentOutcome {
    /// It paid for the booking.
    Accepted,
    /// It took no money.
    Failed,
    /// It took money that must go back.
    RefundDue,
}

/// One step of a booking's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The state before.
    pub from: StateName,
    /// The state after.
    pub to: StateName,
    /// The deadline after.
    pub deadline: Option<OffsetDateTime>,
    /// The payment or refund of the step.
    pub reference: Option<uuid::Uuid>,
}

/// What applying a command did, beside the booking itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The steps that the booking took, in their order.
    pub steps: Vec<Step>,
    /// A payment to record.
    pub payment: Option<(PaymentId, PaymentOutcome)>,
    /// A hold that was placed but will never be this booking's: to be released.
    pub stray: Option<Attempt>,
    /// The attempt moved on: a late record of the one before loses.
    pub attempt_moved: bool,
}

/// What a command answers when it is not refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The booking is as asked for.
    Done,
    /// The verdict that was asked for.
    Verdict(Verdict),
}

/// What the catalog is to do with a hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Put its units back on sale; with the deadline, if it is that which ended it.
    Release {
        /// The deadline that passed.
        expired: Option<OffsetDateTime>,
    },
    /// Its units are sold.
    Commit,
    /// Nothing before this instant.
    NotDue {
        /// The deadline.
        deadline: OffsetDateTime,
    },
}

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The state does not allow it.
    #[error("a booking that is {} cannot become {}", from.as_str(), to.as_str())]
    Illegal {
        /// The state it is in.
        from: StateName,
        /// The state that was asked for.
        to: StateName,
    },
    /// The money came after the deadline.
    #[error("its hold ran out; a payment that took money will be refunded")]
    HoldExpired,
    /// The money came after the cancellation.
    #[error("it was cancelled; a payment that took money will be refunded")]
    BookingCancelled,
    /// The money came after other money.
    #[error("another payment paid for it; this one will be refunded")]
    AlreadyPaid,
    /// The extension goes beyond the longest life of a hold.
    #[error("the hold may last until {latest} at the most")]
    LifetimeExceeded {
        /// The latest deadline that may be asked for.
        latest: OffsetDateTime,
    },
    /// The payment or refund id was used for something else.
    #[error("the id was used before for something else")]
    IdReused,
    /// The attempt at the hold was given up meanwhile; another one may be made.
    #[error("the attempt at the hold was given up meanwhile")]
    Superseded,
}

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
        if known != Known::Unused {
            return self.payment_again(payment, known);
        }
        let Payment { id, success } = payment;
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
    fn payment_again(&self, payment: Payment, known: Known) -> Result<(), Refusal> {
        match known {
            Known::Payment { booking_id, outcome } if booking_id == self.id => {
                match (outcome, payment.success) {
                    (PaymentOutcome::Accepted, true) | (PaymentOutcome::Failed, false) => Ok(()),
                    (PaymentOutcome::RefundDue, true) => Err(self.late_payment()),
                    _ => Err(Refusal::IdReused),
                }
            }
            _ => Err(Refusal::IdReused),
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
            (_, Known::Refund { booking_id }) if booking_id != self.id => Err(Refusal::IdReused),
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

/// The sum of quantity times unit price. The catalog refuses holds whose sum would not fit.
#[must_use]
pub fn total_minor(lines: &[super::line::Line]) -> i64 {
    lines.iter().fold(0, |sum, line| {
        sum.saturating_add(line.unit_price_minor.unwrap_or(0).saturating_mul(line.item.quantity()))
    })
}
