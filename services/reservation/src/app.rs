//! What a handler works with: the batchers of reads and of the write path, and the flows that use more than one of them.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use batch::{BatchLimits, Batcher};
use failpoint::{Step, reach};
use proto::catalog::hold_service_client::HoldServiceClient;
use server::{Channel, Health, Jobs, Share, Turn};
use sqlx::PgPool;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::{
    convert,
    creations::{self, Created},
    domain::{
        booking::{Booking, State},
        command::{Command, Policy, Refusal},
        ids::BookingId,
        line,
    },
    error::{Error, Failure},
    placement::{self, Placement, Wanted},
    relay::Wake,
    store::{bookings, create::New, row::Seen},
    transitions::{self, Answer, Asked},
};

/// A batch grows while the one before it is under way; this bounds it, and with it the time that it takes: lines of new
/// bookings, or commands, or reads.
const MAX_BATCH: usize = 1_000;
/// What may wait for a batch; beyond it callers are refused at once.
const QUEUE: usize = 4096;
/// How long a call should wait for its batch; one that would wait longer is refused at once.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// Batches of reads at a time. Changes and relays keep connections of their own, whoever reads.
const READS: usize = 2;
/// Lists that are read at a time, and that wait for it.
const LISTS: usize = 2;
const LISTS_WAITING: usize = 64;
/// How often a hold that lost its attempt to a verdict tries the next one.
const HOLD_ATTEMPTS: usize = 3;

/// The service's parts, shared by all handlers.
#[derive(Clone, Debug)]
pub struct App {
    /// The database.
    pub pool: PgPool,
    /// The operator's rules.
    pub policy: Policy,
    /// Rings when the outbox has something new.
    pub wake: Arc<Wake>,
    health: Health,
    lists: Share,
    creations: TaskTracker,
    reader: Batcher<BookingId, Result<Option<Seen>, Failure>>,
    placer: Batcher<Wanted, Result<Placement, Failure>>,
    creator: Batcher<New, Result<Created, Failure>>,
    changer: Batcher<Asked, Result<Answer, Failure>>,
}

impl App {
    /// Starts the batchers. Must be called within a tokio runtime.
    #[must_use]
    pub fn start(
        pool: PgPool,
        catalog: HoldServiceClient<Channel>,
        policy: Policy,
        draft_ttl: Duration,
        wake: Arc<Wake>,
        health: Health,
    ) -> Self {
        let limits = BatchLimits { max_batch: MAX_BATCH, queue: QUEUE, in_flight: 1, max_wait: MAX_WAIT };
        let reader = Batcher::start("get", BatchLimits { in_flight: READS, ..limits }, {
            let pool = pool.clone();
            move |ids: Vec<BookingId>| {
                let pool = pool.clone();
                async move {
                    let found = read(&pool, &ids).await.map_err(|error| error.into_failure("get"));
                    each(ids.len(), found).into_iter().map(Result::flatten).collect()
                }
            }
        });
        let placer = Batcher::start("place", limits, move |wanted: Vec<Wanted>| {
            let catalog = catalog.clone();
            async move { placement::place(&catalog, &wanted).await }
        });
        let draft_ttl = time::Duration::try_from(draft_ttl).unwrap_or(time::Duration::MAX);
        let creator = Batcher::start("create", limits, {
            let (pool, wake) = (pool.clone(), Arc::clone(&wake));
            move |new: Vec<New>| {
                let (pool, wake) = (pool.clone(), Arc::clone(&wake));
                async move {
                    let created = creations::create(&pool, draft_ttl, &wake, &new).await;
                    let created = each(new.len(), created.map_err(|error| error.into_failure("create")));
                    created.into_iter().map(Result::flatten).collect()
                }
            }
        });
        let changer = Batcher::start("change", limits, {
            let (pool, wake) = (pool.clone(), Arc::clone(&wake));
            move |asked: Vec<Asked>| {
                let (pool, wake) = (pool.clone(), Arc::clone(&wake));
                async move {
                    let answers = transitions::apply(&pool, &policy, &wake, &asked).await;
                    let answers = each(asked.len(), answers.map_err(|error| error.into_failure("change")));
                    answers.into_iter().map(Result::flatten).collect()
                }
            }
        });
        let (lists, creations) = (Share::new(LISTS, LISTS_WAITING), TaskTracker::new());
        Self { pool, policy, wake, health, lists, creations, reader, placer, creator, changer }
    }

    /// Makes the end of a batcher the end of the process, until `until`: nothing could be read or written any more.
    pub fn supervise(&self, jobs: &Jobs, until: &CancellationToken) {
        // All parts by name: a new one has to say whether it is a batcher.
        let Self {
            reader,
            placer,
            creator,
            changer,
            pool: _,
            policy: _,
            wake: _,
            health: _,
            lists: _,
            creations: _,
        } = self;
        jobs.watch("get batcher", until, reader.clone().ended());
        jobs.watch("place batcher", until, placer.clone().ended());
        jobs.watch("create batcher", until, creator.clone().ended());
        jobs.watch("change batcher", until, changer.clone().ended());
    }

    /// Creates a booking; with `hold` takes its units first. It goes on when its caller has gone: in between, units are held
    /// for a booking that is not recorded yet. Only before that it is given up, when its caller's time is over.
    pub async fn create(&self, new: New, hold: bool) -> Result<Seen, Error> {
        let (app, deadline) = (self.clone(), caller_waits_until());
        let created = self
            .creations
            .spawn(async move { app.carry_through(new, hold, deadline).await }.in_current_span());
        created.await.map_err(|_| Error::Failed(Failure::Defect))?
    }

    async fn carry_through(
        &self,
        mut new: New,
        hold: bool,
        deadline: Option<Instant>,
    ) -> Result<Seen, Error> {
        // Before any units are taken: a place for the booking, and a database to record it in.
        let place = self.creator.reserve_by(new.lines.len(), deadline)?;
        if !self.health.is_up("database") {
            return Err(Error::Failed(Failure::Outage));
        }
        if hold {
            match self.place(Wanted::of(&new), deadline).await? {
                Placement::Active(placed) => {
                    reach(Step::CreatePlaced).await?;
                    for (line, price) in new.lines.iter_mut().zip(&placed.unit_prices_minor) {
                        line.unit_price_minor = Some(*price);
                    }
                    let total_minor = line::total_minor(&new.lines);
                    new.held = Some((placed, total_minor));
                }
                // The first attempt's hold came to its end, so its booking is there: at least as a tombstone.
                Placement::Settled => {
                    let existing = self.get(new.id).await?;
                    return self.created_before(existing, &new, hold).await;
                }
                Placement::Refused(refused) => return Err(convert::refused_hold(&refused)),
            }
        }
        match place.submit(new.clone()).await?.map_err(Error::Failed)? {
            Created::New(seen) => Ok(*seen),
            Created::Existing(existing) => self.created_before(*existing, &new, hold).await,
        }
    }

    /// A booking with the id of `new` is there: the answer is that booking if it was asked for as `new` is.
    async fn created_before(&self, existing: Seen, new: &New, hold: bool) -> Result<Seen, Error> {
        let booking = &existing.booking;
        if booking.is_tombstone() {
            return Err(Error::Refused { booking_id: booking.id, refusal: Refusal::HoldExpired });
        }
        let items: Vec<_> = new.lines.iter().map(|line| line.item.clone()).collect();
        if !booking.was_asked_as(&new.customer_id, &items, new.asked_ttl_ms) {
            if let Some((placed, _)) = &new.held {
                self.command(booking.id, Command::Abandon(placed.attempt)).await?;
            }
            return Err(Error::BookingIdReused(booking.id));
        }
        match (&booking.state, hold, &new.held) {
            (State::Initiated { .. }, true, _) => self.hold(booking.id, new.asked_ttl_ms).await,
            // The draft came to its end without a hold: it is not to get one now.
            (state, _, Some((placed, _))) if state.open_until().is_none() => {
                self.command(booking.id, Command::Abandon(placed.attempt)).await?;
                Ok(existing)
            }
            _ => Ok(existing),
        }
    }

    /// Takes the units of a draft. Repeats find the hold that is there.
    pub async fn hold(&self, id: BookingId, asked_ttl_ms: Option<i64>) -> Result<Seen, Error> {
        for _ in 0..HOLD_ATTEMPTS {
            let seen = self.get(id).await?;
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
                        Placement::Refused(refused) => return Err(convert::refused_hold(&refused)),
                    }
                }
                _ => None,
            };
            match self.command(id, Command::Hold(placed)).await {
                Err(Error::Refused { refusal: Refusal::Superseded, .. }) => {}
                answer => return answer,
            }
        }
        Err(Error::Refused { booking_id: id, refusal: Refusal::Superseded })
    }

    /// Carries out one command, together with whatever else waits.
    pub async fn command(&self, id: BookingId, command: Command) -> Result<Seen, Error> {
        let asked = Asked { booking_id: id, command: command.clone() };
        match self.changer.submit_by(asked, 1, caller_waits_until()).await?.map_err(Error::Failed)? {
            Answer::Booking(seen, Ok(_)) => Ok(*seen),
            Answer::Booking(_, Err(refusal)) => Err(refused(id, &command, refusal)),
            Answer::NotFound => Err(Error::NotFound(id)),
        }
    }

    /// Reads one booking, together with whatever else is asked for.
    pub async fn get(&self, id: BookingId) -> Result<Seen, Error> {
        let found = self.reader.submit_by(id, 1, caller_waits_until()).await?.map_err(Error::Failed)?;
        found.ok_or(Error::NotFound(id))
    }

    /// A turn to read a list from the database: lists have a share of it, and no more.
    pub async fn list_turn(&self) -> Result<Turn, Error> {
        Ok(self.lists.turn().await?)
    }

    /// Waits until what goes on without its caller is done.
    pub async fn finish(&self) {
        self.creations.close();
        self.creations.wait().await;
    }

    async fn place(&self, wanted: Wanted, deadline: Option<Instant>) -> Result<Placement, Error> {
        let lines = wanted.items.len();
        self.placer.submit_by(wanted, lines, deadline).await?.map_err(Error::Failed)
    }
}

/// When the caller of the call being handled stops waiting.
fn caller_waits_until() -> Option<Instant> {
    server::time_left().map(|left| Instant::now() + left)
}

/// The bookings with these ids, in their order. A row that makes no sense fails those only who asked for it.
async fn read(pool: &PgPool, ids: &[BookingId]) -> Result<Vec<Result<Option<Seen>, Failure>>, Error> {
    let mut unique: Vec<Uuid> = ids.iter().map(|id| id.get()).collect();
    unique.sort_unstable();
    unique.dedup();
    let found = bookings::get(&mut *pool.acquire().await?, &unique).await?;
    let found = bookings::by_id(found, "get");
    Ok(ids.iter().map(|id| found.get(&id.get()).cloned().transpose()).collect())
}

impl Wanted {
    fn of(new: &New) -> Self {
        Self {
            booking_id: new.id,
            attempt: crate::domain::ids::Attempt::FIRST,
            items: new.lines.iter().map(|line| line.item.clone()).collect(),
            asked_ttl_ms: new.asked_ttl_ms,
        }
    }

    fn draft(booking: &Booking, asked_ttl_ms: Option<i64>) -> Self {
        Self {
            booking_id: booking.id,
            attempt: booking.attempt,
            items: booking.lines.iter().map(|line| line.item.clone()).collect(),
            asked_ttl_ms,
        }
    }
}

/// Names the id that a refusal is about.
fn refused(id: BookingId, command: &Command, refusal: Refusal) -> Error {
    match (refusal, command) {
        (Refusal::IdReused, Command::CompletePayment(payment) | Command::Pay(payment)) => {
            Error::PaymentIdReused(payment.id)
        }
        (Refusal::IdReused, Command::Refund(refund_id)) => Error::RefundIdReused(*refund_id),
        _ => Error::Refused { booking_id: id, refusal },
    }
}

/// Hands the answers out, or everyone the failure of the whole.
fn each<T>(count: usize, answers: Result<Vec<T>, Failure>) -> Vec<Result<T, Failure>> {
    match answers {
        Ok(answers) => answers.into_iter().map(Ok).collect(),
        Err(failure) => (0..count).map(|_| Err(failure)).collect(),
    }
}
