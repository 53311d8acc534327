//! The unit of work behind every change of bookings that are there: lock, decide in memory, write, commit.
//!
//! One row, one lock, one winner: pay against expire, cancel against expire and the like are settled here and nowhere
//! else. The batch form comes first; a single command is a batch of one.

use std::collections::{HashMap, HashSet};

use failpoint::{Step, reach};
use postgres::UnitOfWork;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use crate::{
    domain::{
        actor::Actor,
        booking::Booking,
        command::{Change, Command, Known, PaymentOutcome, Policy, Refusal, Reply},
        ids::{Attempt, BookingId},
        promise::{self, ReleasedBy},
    },
    error::{Error, Failure},
    metrics::Done,
    relay::Wake,
    store::{
        bookings,
        history::{self, NewEntry},
        payments::{self, Payment},
        promises::{self, Owed},
        row::Seen,
    },
};

/// A command for a booking.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The booking.
    pub booking_id: BookingId,
    /// The command.
    pub command: Command,
    /// Whose.
    pub actor: Actor,
}

/// What came of a command.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The booking as it is after the command, which was obeyed or refused.
    Booking(Box<Seen>, Result<Reply, Refusal>),
    /// There is no such booking, or none that the actor may see.
    NotFound,
}

/// How often a unit of work starts again that met another one with the same payment, refund or unknown booking.
const ATTEMPTS: usize = 3;

/// Carries out the commands, in their order for each booking, in one transaction. A booking whose row makes no sense fails
/// those only that are about it.
pub async fn apply(
    pool: &PgPool,
    policy: &Policy,
    wake: &Wake,
    asked: &[Asked],
) -> Result<Vec<Result<Answer, Failure>>, Error> {
    let batch = Batch { policy, asked };
    let mut attempt = 1;
    loop {
        match postgres::transact(pool, &batch).await {
            Ok((answers, owed, done)) => {
                done.count();
                reach(Step::ChangeCommitted).await?;
                wake.ring(&owed);
                return Ok(answers);
            }
            Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// The commands of one transaction.
struct Batch<'a> {
    policy: &'a Policy,
    asked: &'a [Asked],
}

impl UnitOfWork for Batch<'_> {
    type Output = (Vec<Result<Answer, Failure>>, Owed, Done);
    type Error = Error;

    fn name(&self) -> &'static str {
        "Change"
    }

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        let mut ids: Vec<Uuid> = self.asked.iter().map(|asked| asked.booking_id.get()).collect();
        ids.sort_unstable();
        ids.dedup();
        let locked = bookings::by_id(bookings::lock(conn, &ids).await?, "change");
        reach(Step::ChangeLocked).await?;
        let mut work = Work::new(locked, References::find(conn, self.asked).await?);
        let answers: Vec<_> = self.asked.iter().map(|asked| work.apply(asked, self.policy)).collect();
        mark_unknown(conn, self.asked, &answers).await?;
        work.write(conn).await?;
        let done = work.done();
        Ok((answers, work.owed, done))
    }
}

/// A booking under its lock, and how it was found.
struct Locked {
    seen: Seen,
    history_before: i32,
    changed: bool,
}

/// One transaction's bookings and what is to be written.
struct Work {
    bookings: HashMap<BookingId, Result<Locked, Failure>>,
    references: References,
    entries: Vec<NewEntry>,
    payments: Vec<Payment>,
    owed: Owed,
}

impl Work {
    fn new(locked: HashMap<Uuid, Result<Seen, Failure>>, references: References) -> Self {
        let found = |seen: Seen| {
            let history_before = seen.booking.history_length;
            Locked { seen, history_before, changed: false }
        };
        let bookings = locked.into_iter().map(|(id, seen)| (id.into(), seen.map(found))).collect();
        let (entries, payments, owed) = (Vec::new(), Vec::new(), Owed::default());
        Self { bookings, references, entries, payments, owed }
    }

    fn apply(&mut self, asked: &Asked, policy: &Policy) -> Result<Answer, Failure> {
        let locked = match self.bookings.get_mut(&asked.booking_id) {
            Some(locked) => locked.as_mut().map_err(|failure| *failure)?,
            None => return Ok(Answer::NotFound),
        };
        if !asked.actor.sees(&locked.seen.booking.customer_id) {
            return Ok(Answer::NotFound);
        }
        let known = self.references.of(&asked.command);
        let now = locked.seen.now;
        // Who asks for a verdict on the booking's hold carries it to the catalog.
        let released_by = match asked.command {
            Command::Resolve(attempt) if attempt == locked.seen.booking.attempt => ReleasedBy::Caller,
            _ => ReleasedBy::Outbox,
        };
        let (change, result) = locked.seen.booking.apply(&asked.command, known, policy, now);
        if !change.steps.is_empty() || change.attempt_moved {
            locked.changed = true;
        }
        let seen = locked.seen.clone();
        self.note(&seen, change, released_by, &asked.actor);
        if let (Command::Refund(id), Ok(_)) = (&asked.command, result) {
            self.references.refunds.insert(id.get(), asked.booking_id);
        }
        Ok(Answer::Booking(Box::new(seen), result))
    }

    /// Notes what a change has to leave behind, beside the booking itself.
    fn note(&mut self, seen: &Seen, change: Change, released_by: ReleasedBy, actor: &Actor) {
        let booking: &Booking = &seen.booking;
        for promise in promise::promises(booking, &change, released_by) {
            self.owed.push(booking, promise);
        }
        if let Some((id, outcome)) = change.payment {
            self.references.payments.insert(id.get(), (booking.id, outcome));
            self.payments.push(Payment { id, booking_id: booking.id, outcome, at: seen.now });
        }
        let taken = i32::try_from(change.steps.len()).expect("a command takes few steps");
        let first = booking.history_length - taken + 1;
        self.entries.extend((first..).zip(change.steps).map(|(sequence, step)| NewEntry {
            booking_id: booking.id,
            sequence,
            step,
            at: seen.now,
            actor: actor.clone(),
        }));
    }

    /// What there is to count.
    fn done(&self) -> Done {
        let mut done = Done::default();
        self.entries.iter().for_each(|entry| done.entered(entry.step.to, 1));
        self.payments.iter().for_each(|payment| done.paid(payment.outcome));
        done
    }

    async fn write(&self, conn: &mut PgConnection) -> Result<(), Error> {
        let changed: Vec<(&Booking, i32)> = self
            .bookings
            .values()
            .flatten()
            .filter(|locked| locked.changed)
            .map(|locked| (&locked.seen.booking, locked.history_before))
            .collect();
        if !changed.is_empty() {
            bookings::update(conn, &changed).await?;
            reach(Step::ChangeUpdated).await?;
        }
        if !self.entries.is_empty() {
            history::insert(conn, &self.entries).await?;
            reach(Step::ChangeChronicled).await?;
        }
        if !self.payments.is_empty() {
            payments::insert(conn, &self.payments).await?;
            reach(Step::ChangePaid).await?;
        }
        if !self.owed.is_empty() {
            promises::insert(conn, &self.owed, telemetry::propagation::current_traceparent().as_deref())
                .await?;
            reach(Step::ChangeOwed).await?;
        }
        Ok(())
    }
}

/// What the payment and refund ids of a batch were used for before.
struct References {
    payments: HashMap<Uuid, (BookingId, PaymentOutcome)>,
    refunds: HashMap<Uuid, BookingId>,
}

impl References {
    async fn find(conn: &mut PgConnection, asked: &[Asked]) -> Result<Self, Error> {
        let (mut payment_ids, mut refund_ids) = (Vec::new(), Vec::new());
        for asked in asked {
            match &asked.command {
                Command::CompletePayment(payment) | Command::Pay(payment) => {
                    payment_ids.push(payment.id.get());
                }
                Command::Refund(id) => refund_ids.push(id.get()),
                Command::Hold(_)
                | Command::Extend(_)
                | Command::StartPayment
                | Command::Cancel
                | Command::Resolve(_)
                | Command::Abandon(_)
                | Command::Review => {}
            }
        }
        let mut found = Self { payments: HashMap::new(), refunds: HashMap::new() };
        if !payment_ids.is_empty() {
            let known = payments::find(conn, &payment_ids).await?;
            found.payments = known
                .into_iter()
                .map(|(id, booking_id, outcome)| (id.get(), (booking_id, outcome)))
                .collect();
        }
        if !refund_ids.is_empty() {
            let known = bookings::find_refunds(conn, &refund_ids).await?;
            found.refunds = known.into_iter().map(|(refund, booking)| (refund, booking.into())).collect();
        }
        Ok(found)
    }

    fn of(&self, command: &Command) -> Known {
        match command {
            Command::CompletePayment(payment) | Command::Pay(payment) => self
                .payments
                .get(&payment.id.get())
                .map_or(Known::Unused, |&(booking_id, outcome)| Known::Payment { booking_id, outcome }),
            Command::Refund(id) => {
                self.refunds.get(&id.get()).map_or(Known::Unused, |&booking_id| Known::Refund { booking_id })
            }
            _ => Known::Unused,
        }
    }
}

/// Unknown bookings that a verdict was asked on get a tombstone, so that their late insert loses, and RELEASE.
/// One that appeared meanwhile is a conflict: the unit of work starts again and finds it.
async fn mark_unknown(
    conn: &mut PgConnection,
    asked: &[Asked],
    answers: &[Result<Answer, Failure>],
) -> Result<(), Error> {
    let mut seen = HashSet::new();
    let unknown: Vec<(BookingId, Attempt, &Actor)> = asked
        .iter()
        .zip(answers.iter())
        .filter_map(|(asked, answer)| match (&asked.command, answer) {
            (Command::Resolve(attempt), Ok(Answer::NotFound)) if seen.insert(asked.booking_id) => {
                Some((asked.booking_id, *attempt, &asked.actor))
            }
            _ => None,
        })
        .collect();
    if unknown.is_empty() {
        return Ok(());
    }
    let inserted = bookings::insert_tombstones(conn, &unknown).await?;
    reach(Step::ResolveMarked).await?;
    if inserted.len() < unknown.len() {
        return Err(Error::AppearedMeanwhile);
    }
    Ok(())
}
