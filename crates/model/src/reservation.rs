//! Reservation's commits: `Booking::apply` and `promises` of reservation itself, on what the state says.
//!
//! Mirrored, because they are SQL or glue: the insert of new bookings (`creations.rs`), tombstones and who carries a
//! RELEASE (`transitions.rs`).

use reservation::domain::{
    booking::{Booking, Hold, State as BookingState, StateName},
    command::{Change, Command, Known, Payment, PaymentOutcome, Policy, Refusal, Reply, Verdict},
    ids::{Attempt, BookingId, PaymentId, RefundId},
    line::{Item, Line},
    promise::{self, Promise, ReleasedBy},
};
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::{
    Protocol,
    state::{Flaws, Record, State},
    variant::Variant,
};

/// The instant that every commit takes place at: bookings are kept by what is left of their time.
const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;
/// A clock that stood still before everything, and one that is far ahead, for the variants that judge by them.
const LONG_AGO: Duration = Duration::days(-1);
const FAR_AHEAD: Duration = Duration::days(1);

fn ticks(count: impl Into<i64>) -> Duration {
    Duration::seconds(count.into())
}

fn left(until: OffsetDateTime) -> u8 {
    u8::try_from((until - NOW).whole_seconds().max(0)).expect("a model has little time")
}

fn booking_id(booking: u8) -> BookingId {
    Uuid::from_u128(1 + u128::from(booking)).into()
}

fn payment_id(booking: u8, payment: u8) -> PaymentId {
    Uuid::from_u128(100 + 10 * u128::from(booking) + u128::from(payment)).into()
}

/// The only refund of a booking.
pub(crate) fn refund_id(booking: u8) -> RefundId {
    Uuid::from_u128(200 + u128::from(booking)).into()
}

pub(crate) fn payment(booking: u8, number: u8) -> Payment {
    Payment { id: payment_id(booking, number), success: number != crate::action::NO_MONEY }
}

pub(crate) fn attempt(number: u8) -> Attempt {
    Attempt::try_from(i32::from(number)).expect("attempts count from 1")
}

/// A command's answer, or that there is no such booking.
pub(crate) type Answer = Option<Result<Reply, Refusal>>;

impl Protocol {
    /// The booking that a record says.
    fn load(&self, booking: u8, record: &Record) -> Booking {
        let hold = || Hold {
            held_at: NOW + ticks(record.first_left) - ticks(self.bounds.times.hold),
            ttl: ticks(self.bounds.times.hold),
            deadline: NOW + ticks(record.left),
            window_given: record.window_given,
            currency: String::new(),
            total_minor: 0,
        };
        let had_hold = || record.had_hold.then(hold);
        let paid_by = || payment_id(booking, record.paid_by.expect("a paid booking names its payment"));
        let state = match record.state {
            StateName::Initiated => BookingState::Initiated { deadline: NOW + ticks(record.left) },
            StateName::Held => BookingState::Held(hold()),
            StateName::PaymentPending => BookingState::PaymentPending(hold()),
            StateName::Confirmed => BookingState::Confirmed { hold: hold(), payment_id: paid_by() },
            StateName::Refunded => {
                BookingState::Refunded { hold: hold(), payment_id: paid_by(), refund_id: refund_id(booking) }
            }
            StateName::Cancelled => BookingState::Cancelled { hold: had_hold() },
            StateName::Expired => BookingState::Expired { hold: had_hold(), expired_at: NOW },
        };
        let item =
            Item::Product { product_id: Uuid::from_u128(11), quantity: self.units(record.other).into() };
        Booking {
            id: booking_id(booking),
            customer_id: String::new(),
            lines: if record.tombstone { Vec::new() } else { vec![Line::from(item)] },
            asked_ttl_ms: None,
            attempt: attempt(record.attempt),
            state,
            history_length: 1,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    /// The record that says a booking. Of one that cannot run out any more, no time is kept.
    fn store(booking: u8, loaded: &Booking, before: &Record) -> Record {
        let hold = loaded.state.hold();
        let open_until = loaded.state.open_until();
        let open_hold = hold.filter(|_| open_until.is_some_and(|deadline| deadline > NOW));
        let paid_by = match &loaded.state {
            BookingState::Confirmed { payment_id: id, .. }
            | BookingState::Refunded { payment_id: id, .. } => {
                (0..2).find(|number| payment_id(booking, *number) == *id)
            }
            _ => None,
        };
        Record {
            state: loaded.state.name(),
            attempt: u8::try_from(loaded.attempt.get()).expect("a model has few attempts"),
            left: open_until.map_or(0, left),
            first_left: open_hold.map_or(0, |hold| {
                i8::try_from((hold.first_deadline() - NOW).whole_seconds()).expect("a model has little time")
            }),
            window_given: open_hold.is_some_and(|hold| hold.window_given),
            paid_by,
            had_hold: hold.is_some(),
            ..*before
        }
    }

    /// One command in one transaction: lock, let the domain decide, write.
    pub(crate) fn command(
        &self,
        state: &mut State,
        booking: u8,
        command: &Command,
        payment: Option<u8>,
    ) -> Answer {
        let case = &mut state.cases[usize::from(booking)];
        let record = case.record?;
        let mut loaded = self.load(booking, &record);
        let known = |case: &crate::state::Case| {
            let outcome = payment.and_then(|number| case.payments[usize::from(number)]);
            match (command, outcome) {
                (_, Some(outcome)) => Known::Payment { booking_id: booking_id(booking), outcome },
                (Command::Refund(_), None) if case.record.is_some_and(|r| r.state == StateName::Refunded) => {
                    Known::Refund { booking_id: booking_id(booking) }
                }
                _ => Known::Unused,
            }
        };
        let released_by = match command {
            Command::Resolve(attempt) if *attempt == loaded.attempt => ReleasedBy::Caller,
            _ => ReleasedBy::Outbox,
        };
        let unguarded = match self.variant {
            Variant::PayNotGuardedByTheDeadline => payment.is_some(),
            Variant::LateMoneyConfirms => {
                let late = payment.is_some() && record.state == StateName::Expired && record.had_hold;
                if late {
                    loaded = self.load(booking, &Record { state: StateName::PaymentPending, ..record });
                }
                late
            }
            _ => false,
        };
        let hurried = self.variant == Variant::ResolvedByAFastClock && matches!(command, Command::Resolve(_));
        let now = match (unguarded, hurried) {
            (true, _) => NOW + LONG_AGO,
            (false, true) => NOW + FAR_AHEAD,
            (false, false) => NOW,
        };
        let policy = self.policy();
        let (change, answer) = loaded.apply(command, known(case), &policy, now);
        if self.variant == Variant::AttemptNotMovedOn && change.attempt_moved {
            loaded.attempt = attempt(record.attempt);
        }
        case.record = Some(Self::store(booking, &loaded, &record));
        if let (Some(number), Some((_, outcome))) = (payment, change.payment) {
            case.payments[usize::from(number)] = Some(outcome);
        }
        let announced = self.promise(case, &loaded, &change, released_by);
        let mut again = loaded.clone();
        let (repeated, repeat) = again.apply(command, known(case), &policy, now);
        let changed = !repeated.steps.is_empty() || repeated.payment.is_some() || repeated.attempt_moved;
        let due_back = matches!(change.payment, Some((_, PaymentOutcome::RefundDue)));
        let flaws = &mut state.flaws;
        if self.variant != Variant::AttemptNotMovedOn {
            flaws.note(Flaws::REPEATED, changed || again != loaded || repeat != answer);
        }
        flaws.note(Flaws::UNANNOUNCED, due_back && !announced);
        let mut at = record.state;
        for step in &change.steps {
            flaws.note(Flaws::ILLEGAL_MOVE, step.from != at || !may_move(step.from, step.to));
            flaws.note(Flaws::CONFIRMED_LATE, step.to == StateName::Confirmed && record.left == 0);
            flaws.note(Flaws::EXPIRED_EARLY, step.to == StateName::Expired && record.left > 0);
            at = step.to;
        }
        flaws.note(Flaws::ILLEGAL_MOVE, at != loaded.state.name());
        Some(answer)
    }

    /// Writes what a change owes into the outbox. Answers whether it announces that money must go back.
    fn promise(
        &self,
        case: &mut crate::state::Case,
        booking: &Booking,
        change: &Change,
        released_by: ReleasedBy,
    ) -> bool {
        let mut announced = false;
        for promise in promise::promises(booking, change, released_by) {
            match promise {
                Promise::Timer { .. } => case.timer_row = true,
                Promise::Settle { attempt, verdict } => {
                    let attempt = u8::try_from(attempt.get()).expect("a model has few attempts");
                    case.settle_rows.add(attempt, verdict);
                }
                Promise::Event { subject, .. } => {
                    announced |=
                        subject == "payment.refund_due" && self.variant != Variant::LateMoneyForgotten;
                }
            }
        }
        announced
    }

    const fn policy(&self) -> Policy {
        let times = &self.bounds.times;
        Policy {
            payment_window: Duration::seconds(times.window as i64),
            max_hold: Duration::seconds(times.hold as i64 + times.extension as i64),
        }
    }

    /// What the insert of a new booking leaves where none is; held, with its timer.
    pub(crate) fn insert(&self, state: &mut State, booking: u8, held: bool, other: bool) {
        let times = &self.bounds.times;
        let case = &mut state.cases[usize::from(booking)];
        case.timer_row = held;
        case.record = Some(Record {
            state: if held { StateName::Held } else { StateName::Initiated },
            attempt: 1,
            left: if held { times.hold } else { times.draft },
            first_left: if held { i8::try_from(times.hold).expect("a model has little time") } else { 0 },
            window_given: false,
            paid_by: None,
            had_hold: held,
            tombstone: false,
            other,
        });
    }

    /// The verdict on a hold; an unknown booking gets its tombstone.
    pub(crate) fn resolve(&self, state: &mut State, booking: u8, number: u8) -> Verdict {
        match self.command(state, booking, &Command::Resolve(attempt(number)), None) {
            Some(Ok(Reply::Verdict(verdict))) => verdict,
            Some(answer) => unreachable!("a question for a verdict got {answer:?}"),
            None => {
                if self.variant != Variant::NoTombstone {
                    state.cases[usize::from(booking)].record = Some(Record {
                        state: StateName::Expired,
                        attempt: number,
                        left: 0,
                        first_left: 0,
                        window_given: false,
                        paid_by: None,
                        had_hold: false,
                        tombstone: true,
                        other: false,
                    });
                }
                Verdict::Release { expired: None }
            }
        }
    }

    /// Ticks until the deadline of a hold that is not due.
    pub(crate) fn left(deadline: OffsetDateTime) -> u8 {
        left(deadline)
    }
}

/// The table of DESIGN, written down once more: the product's own is what is checked against it.
const fn may_move(from: StateName, to: StateName) -> bool {
    use StateName::{Cancelled, Confirmed, Expired, Held, Initiated, PaymentPending, Refunded};
    matches!(
        (from, to),
        (Initiated, Held | Cancelled | Expired)
            | (Held, Held | PaymentPending | Cancelled | Expired)
            | (PaymentPending, Held | Confirmed | Cancelled | Expired)
            | (Confirmed, Refunded)
    )
}
