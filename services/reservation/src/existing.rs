//! Calls about bookings that are there, each in a batch with whatever else waits.

use std::{sync::Arc, time::Instant};

use batch::{BatchLimits, Batcher};
use failpoint::{Step, reach};
use postgres::UnitOfWork;
use proto::catalog::hold_service_client::HoldServiceClient;
use server::{Channel, Jobs, caller_waits_until};
use sqlx::{PgConnection, PgPool};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    convert,
    domain::{
        actor::Actor,
        booking::State,
        command::{Command, Policy, Refusal},
        ids::BookingId,
    },
    error::{Error, Failure, each},
    placement::{self, Placement, Wanted},
    relay::Wake,
    store::{Inconsistent, bookings, create::New, row::Seen},
    transitions::{self, Answer, Asked},
};

/// Batches of reads at a time. Changes and relays keep connections of their own, whoever reads.
const READS: usize = 2;
/// How often a hold that lost its attempt to a verdict tries the next one.
const HOLD_ATTEMPTS: usize = 3;

/// Reads and changes bookings.
#[derive(Clone, Debug)]
pub struct Existing {
    reader: Batcher<BookingId, Result<Option<Seen>, Failure>>,
    placer: Batcher<Wanted, Result<Placement, Failure>>,
    changer: Batcher<Asked, Result<Answer, Failure>>,
}

impl Existing {
    /// Starts the batchers, one batch of a kind at a time. Must be called within a tokio runtime.
    pub(crate) fn start(
        pool: &PgPool,
        catalog: HoldServiceClient<Channel>,
        policy: Policy,
        wake: &Arc<Wake>,
        limits: BatchLimits,
    ) -> Self {
        let reader = Batcher::start("get", BatchLimits { in_flight: READS, ..limits }, {
            let pool = pool.clone();
            move |ids: Vec<BookingId>| {
                let pool = pool.clone();
                async move {
                    let found = read(&pool, &ids).await;
                    let found =
                        found.map_err(|error| error.into_failure_of("get", telemetry::few(&ids).as_deref()));
                    each(ids.len(), found)
                }
            }
        });
        let placer = Batcher::start("place", limits, move |wanted: Vec<Wanted>| {
            let catalog = catalog.clone();
            async move { placement::place(&catalog, &wanted).await }
        });
        let changer = Batcher::start("change", limits, {
            let (pool, wake) = (pool.clone(), Arc::clone(wake));
            move |asked: Vec<Asked>| {
                let (pool, wake) = (pool.clone(), Arc::clone(&wake));
                async move {
                    let answers = transitions::apply(&pool, &policy, &wake, &asked).await;
                    let ids = || telemetry::few(asked.iter().map(|asked| asked.booking_id));
                    each(
                        asked.len(),
                        answers.map_err(|error| error.into_failure_of("change", ids().as_deref())),
                    )
                }
            }
        });
        Self { reader, placer, changer }
    }

    /// Makes the end of a batcher the end of the process, until `until`.
    pub(crate) fn supervise(&self, jobs: &Jobs, until: &CancellationToken) {
        // All parts by name: a new one has to be watched too.
        let Self { reader, placer, changer } = self;
        jobs.watch("get batcher", until, reader.clone().ended());
        jobs.watch("place batcher", until, placer.clone().ended());
        jobs.watch("change batcher", until, changer.clone().ended());
    }

    /// Reads one booking, together with whatever else is asked for. Those that `actor` may not see are not there.
    pub async fn get(&self, id: BookingId, actor: &Actor) -> Result<Seen, Error> {
        let found = self.reader.submit_by(id, 1, caller_waits_until()).await?.map_err(Error::Failed)?;
        found.filter(|seen| actor.sees(&seen.booking.customer_id)).ok_or(Error::NotFound(id))
    }

    /// Carries out one command, together with whatever else waits.
    pub async fn command(&self, id: BookingId, command: Command, actor: &Actor) -> Result<Seen, Error> {
        let asked = Asked { booking_id: id, command: command.clone(), actor: actor.clone() };
        match self.changer.submit_by(asked, 1, caller_waits_until()).await?.map_err(Error::Failed)? {
            Answer::Booking(seen, Ok(_)) => Ok(*seen),
            Answer::Booking(_, Err(refusal)) => Err(refused(id, &command, refusal)),
            Answer::NotFound => Err(Error::NotFound(id)),
        }
    }

    /// Takes the units of a draft. Repeats find the hold that is there.
    pub async fn hold(&self, id: BookingId, asked_ttl_ms: Option<i64>, actor: &Actor) -> Result<Seen, Error> {
        for _ in 0..HOLD_ATTEMPTS {
            let seen = self.get(id, actor).await?;
            let placed = match seen.booking.state {
                State::Initiated { deadline } if seen.now < deadline => {
                    let wanted = Wanted::draft(&seen.booking, asked_ttl_ms);
                    match self.place(wanted, caller_waits_until()).await? {
                        Placement::Active(placed) => {
                            reach(Step::HoldPlaced).await?;
                            Some(placed)
                        }
                        // A verdict ended this attempt; the booking has moved on to the next one, or will.
                        Placement::Settled => continue,
                        // Something else stands under this attempt, which a stranger may have placed: on to the next.
                        Placement::Reused => {
                            self.command(id, Command::Abandon(seen.booking.attempt), actor).await?;
                            continue;
                        }
                        Placement::Refused(refused) => return Err(convert::refused_hold(&refused)),
                    }
                }
                _ => None,
            };
            match self.command(id, Command::Hold(placed), actor).await {
                Err(Error::Refused { refusal: Refusal::Superseded, .. }) => {}
                answer => return answer,
            }
        }
        Err(Error::Refused { booking_id: id, refusal: Refusal::Superseded })
    }

    /// A booking with the id of `new` is there: the answer is that booking if it was asked for as `new` is.
    pub(crate) async fn created_before(&self, existing: Seen, new: &New, hold: bool) -> Result<Seen, Error> {
        let booking = &existing.booking;
        // Whoever's it is: what was placed for a request that is refused has to go.
        let actor = &new.actor.seeing_all();
        if booking.is_tombstone() {
            return Err(Error::Refused { booking_id: booking.id, refusal: Refusal::HoldExpired });
        }
        let items: Vec<_> = new.lines.iter().map(|line| line.item.clone()).collect();
        if !booking.was_asked_as(&new.customer_id, &items, new.asked_ttl_ms) {
            // Who may not see the booking changes nothing of it: what was placed under the attempt that it is at waits for the sweep, or
            // for whoever holds the draft, as after a crash.
            let may = new.actor.sees(&booking.customer_id) || booking.state.open_until().is_none();
            if let (Some((placed, _)), true) = (&new.held, may) {
                self.command(booking.id, Command::Abandon(placed.attempt), actor).await?;
            }
            return Err(Error::BookingIdReused(booking.id));
        }
        match (&booking.state, hold, &new.held) {
            (State::Initiated { .. }, true, _) => self.hold(booking.id, new.asked_ttl_ms, actor).await,
            // The draft came to its end without a hold: it is not to get one now.
            (state, _, Some((placed, _))) if state.open_until().is_none() => {
                self.command(booking.id, Command::Abandon(placed.attempt), actor).await?;
                Ok(existing)
            }
            _ => Ok(existing),
        }
    }

    async fn place(&self, wanted: Wanted, deadline: Option<Instant>) -> Result<Placement, Error> {
        let lines = wanted.items.len();
        self.placer.submit_by(wanted, lines, deadline).await?.map_err(Error::Failed)
    }
}

/// The bookings with these ids, in their order. A row that makes no sense fails those only who asked for it.
async fn read(pool: &PgPool, ids: &[BookingId]) -> Result<Vec<Result<Option<Seen>, Failure>>, Error> {
    let mut unique: Vec<Uuid> = ids.iter().map(|id| id.get()).collect();
    unique.sort_unstable();
    unique.dedup();
    let found = bookings::by_id(postgres::autocommit(pool, &Read(&unique)).await?, "get");
    Ok(ids.iter().map(|id| found.get(&id.get()).cloned().transpose()).collect())
}

/// The bookings with these ids. With the limits of a unit of work: a server that does not answer must not keep the batch.
struct Read<'a>(&'a [Uuid]);

impl UnitOfWork for Read<'_> {
    type Output = Vec<Result<Seen, Inconsistent>>;
    type Error = Error;

    async fn run(&self, conn: &mut PgConnection) -> Result<Self::Output, Error> {
        bookings::get(conn, self.0).await
    }
}

/// Names the id that a refusal is about.
fn refused(id: BookingId, command: &Command, refusal: Refusal) -> Error {
    match (refusal, command) {
        (
            Refusal::IdReused { used_for, failed },
            Command::CompletePayment(payment) | Command::Pay(payment),
        ) => Error::PaymentIdReused { id: payment.id, used_for, failed },
        (Refusal::IdReused { used_for, .. }, Command::Refund(id)) => {
            Error::RefundIdReused { id: *id, used_for }
        }
        _ => Error::Refused { booking_id: id, refusal },
    }
}
