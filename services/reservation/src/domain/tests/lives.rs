//! Random lives of bookings: any commands, in any order, by a clock that never goes back.

use std::collections::HashMap;

use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    super::{
        command::PaymentOutcome,
        ids::PaymentId,
        promise::{Promise, ReleasedBy, promises},
    },
    *,
};

/// How long nothing happens.
#[derive(Clone, Copy, Debug)]
enum Wait {
    For(Duration),
    UntilJustBeforeTheDeadline,
    UntilTheDeadline,
}

/// One thing that happens to a booking, after a while.
#[derive(Clone, Debug)]
pub(super) struct Happening {
    wait: Wait,
    command: Command,
}

/// How a booking starts, and what happens to it.
#[derive(Clone, Debug)]
pub(super) struct Script {
    start: Booking,
    happenings: Vec<Happening>,
}

/// One command of a life, with everything around it.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) before: Booking,
    pub(super) command: Command,
    pub(super) known: Known,
    pub(super) now: OffsetDateTime,
    pub(super) change: Change,
    pub(super) answer: Result<Reply, Refusal>,
    pub(super) after: Booking,
    /// What the command's id would be known for if it came again.
    pub(super) known_after: Known,
}

impl Moment {
    /// What it owes.
    pub(super) fn owed(&self, released_by: ReleasedBy) -> Vec<Promise> {
        promises(&self.after, &self.change, released_by)
    }

    /// The payment that was reported, if one was.
    pub(super) fn reported(&self) -> Option<Payment> {
        match self.command {
            Command::CompletePayment(payment) | Command::Pay(payment) => Some(payment),
            _ => None,
        }
    }
}

/// What ids were used for, as the tables of payments and refunds tell it.
struct Ledger {
    payments: HashMap<PaymentId, (BookingId, PaymentOutcome)>,
    refunds: HashMap<RefundId, BookingId>,
}

impl Ledger {
    /// Another booking has payments and a refund already.
    fn with_another_booking() -> Self {
        let payments = [
            (paid(91), PaymentOutcome::Accepted),
            (failed(92), PaymentOutcome::Failed),
            (paid(93), PaymentOutcome::RefundDue),
        ];
        Self {
            payments: payments.map(|(payment, outcome)| (payment.id, (other_id(), outcome))).into(),
            refunds: HashMap::from([(refund_id(91), other_id())]),
        }
    }

    fn known(&self, command: &Command) -> Known {
        match command {
            Command::CompletePayment(payment) | Command::Pay(payment) => self
                .payments
                .get(&payment.id)
                .map_or(Known::Unused, |&(booking_id, outcome)| Known::Payment { booking_id, outcome }),
            Command::Refund(id) => {
                self.refunds.get(id).map_or(Known::Unused, |&booking_id| Known::Refund { booking_id })
            }
            _ => Known::Unused,
        }
    }

    /// Writes down what a command left behind. No payment is recorded twice: its id is a primary key.
    fn record(&mut self, booking: &Booking, change: &Change) {
        if let Some((id, outcome)) = change.payment {
            assert_eq!(self.payments.insert(id, (booking.id, outcome)), None, "recorded twice: {id}");
        }
        if let State::Refunded { refund_id, .. } = booking.state {
            let owner = *self.refunds.entry(refund_id).or_insert(booking.id);
            assert_eq!(owner, booking.id, "a refund of another booking was taken");
        }
    }
}

impl Script {
    /// Plays it.
    pub(super) fn moments(&self) -> Vec<Moment> {
        let (mut booking, mut now) = (self.start.clone(), CREATED);
        let mut ledger = Ledger::with_another_booking();
        let mut moments = Vec::with_capacity(self.happenings.len());
        for Happening { wait, command } in &self.happenings {
            let until = booking.state.open_until().unwrap_or(now);
            now = match wait {
                Wait::For(time) => now + *time,
                Wait::UntilJustBeforeTheDeadline => now.max(until - TICK),
                Wait::UntilTheDeadline => now.max(until),
            };
            let (before, known) = (booking.clone(), ledger.known(command));
            let (change, answer) = booking.apply(command, known, &POLICY, now);
            ledger.record(&booking, &change);
            moments.push(Moment {
                before,
                command: command.clone(),
                known,
                now,
                change,
                answer,
                after: booking.clone(),
                known_after: ledger.known(command),
            });
        }
        moments
    }
}

fn waits() -> impl Strategy<Value = Wait> {
    prop_oneof![
        12 => (0_i64..4_000_000).prop_map(|us| Wait::For(Duration::microseconds(us))),
        1 => (0_i64..180).prop_map(|seconds| Wait::For(Duration::seconds(seconds))),
        1 => Just(Wait::UntilJustBeforeTheDeadline),
        1 => Just(Wait::UntilTheDeadline),
    ]
}

fn commands() -> impl Strategy<Value = Command> {
    let attempts = || (1_i32..=4).prop_map(attempt);
    let payments = || {
        let ids = select(vec![1_u128, 2, 3, 4, 91, 92, 93]);
        (ids, prop::bool::weighted(0.4)).prop_map(|(id, success)| if success { paid(id) } else { failed(id) })
    };
    prop_oneof![
        6 => (attempts(), 1_i64..90).prop_map(|(attempt, seconds)| {
            Command::Hold(Some(Placed { ttl: Duration::seconds(seconds), ..placed(attempt) }))
        }),
        1 => Just(Command::Hold(None)),
        3 => (1_i64..2_400).prop_map(|seconds| Command::Extend(Duration::seconds(seconds))),
        4 => Just(Command::StartPayment),
        4 => payments().prop_map(Command::CompletePayment),
        1 => payments().prop_map(Command::Pay),
        1 => Just(Command::Cancel),
        3 => select(vec![1_u128, 2, 91]).prop_map(|id| Command::Refund(refund_id(id))),
        2 => attempts().prop_map(Command::Resolve),
        1 => attempts().prop_map(Command::Abandon),
        1 => Just(Command::Review),
    ]
}

/// Lives that start as a draft, or held at once.
pub(super) fn lives() -> impl Strategy<Value = Script> {
    let draft = State::Initiated { deadline: CREATED + Duration::minutes(30) };
    let starts =
        [draft, State::Held(hold())].map(|state| Booking { attempt: Attempt::FIRST, ..booking(state) });
    let happenings = (waits(), commands()).prop_map(|(wait, command)| Happening { wait, command });
    (select(starts.to_vec()), vec(happenings, 1..40))
        .prop_map(|(start, happenings)| Script { start, happenings })
}
