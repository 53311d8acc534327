//! New bookings: drafts, and those whose units are taken at once. Many in one batch, each with its own outcome.
//!
//! A batch goes to its end when its callers have gone: in between, units are held for bookings that are not recorded yet.

use std::{sync::Arc, time::Duration};

use batch::{BatchLimits, Batcher};
use failpoint::{Step, reach};
use proto::catalog::{RefusedHold, hold_service_client::HoldServiceClient};
use server::{Channel, Health, Jobs, caller_waits_until};
use sqlx::PgPool;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::Instrument as _;

use crate::{
    convert,
    creations::{self, Created},
    domain::line,
    error::{Error, Failure, each},
    existing::Existing,
    placement::{self, Placement, Wanted},
    relay::Wake,
    store::{create::New, row::Seen},
};

/// Batches of holds at a time: while the catalog takes the units of one, the one before it is recorded.
const HOLDS: usize = 2;

/// What came of a booking in its batch.
#[derive(Debug)]
enum Made {
    /// It was recorded.
    New(Box<Seen>),
    /// The catalog took nothing.
    Refused(Box<RefusedHold>),
    /// Its id was there: what that means takes further steps, which are carried through whoever waits for them.
    Repeated(JoinHandle<Result<Seen, Error>>),
}

/// Creates bookings.
#[derive(Clone, Debug)]
pub struct Creator {
    holds: Batcher<New, Result<Made, Failure>>,
    drafts: Batcher<New, Result<Made, Failure>>,
    under_way: TaskTracker,
}

impl Creator {
    /// Starts the batchers. Must be called within a tokio runtime.
    pub(crate) fn start(
        pool: &PgPool,
        catalog: HoldServiceClient<Channel>,
        draft_ttl: Duration,
        wake: Arc<Wake>,
        health: Health,
        existing: Existing,
        limits: BatchLimits,
    ) -> Self {
        let under_way = TaskTracker::new();
        let draft_ttl = time::Duration::try_from(draft_ttl).unwrap_or(time::Duration::MAX);
        let (pool, tracker) = (pool.clone(), under_way.clone());
        let maker = Arc::new(Maker { pool, catalog, draft_ttl, wake, health, existing, under_way: tracker });
        let drafter = Arc::clone(&maker);
        let holds = Batcher::start("create", BatchLimits { in_flight: HOLDS, ..limits }, move |new| {
            let maker = Arc::clone(&maker);
            async move { maker.hold(new).await }
        });
        let drafts = Batcher::start("draft", limits, move |new| {
            let maker = Arc::clone(&drafter);
            async move { maker.record(new, false).await }
        });
        Self { holds, drafts, under_way }
    }

    /// Makes the end of a batcher the end of the process, until `until`.
    pub(crate) fn supervise(&self, jobs: &Jobs, until: &CancellationToken) {
        // All parts by name: a new one has to say whether it is a batcher.
        let Self { holds, drafts, under_way: _ } = self;
        jobs.watch("create batcher", until, holds.clone().ended());
        jobs.watch("draft batcher", until, drafts.clone().ended());
    }

    /// Creates a booking; with `hold` takes its units first. Given up with its caller's time only before its batch begins.
    pub async fn create(&self, new: New, hold: bool) -> Result<Seen, Error> {
        // Who shuts down waits for this one, also while it waits for its batch.
        let _goes_on = self.under_way.token();
        let batcher = if hold { &self.holds } else { &self.drafts };
        let lines = new.lines.len();
        match batcher.submit_by(new, lines, caller_waits_until()).await?.map_err(Error::Failed)? {
            Made::New(seen) => Ok(*seen),
            Made::Refused(refused) => Err(convert::refused_hold(&refused)),
            Made::Repeated(outcome) => outcome.await.map_err(|_| Error::Failed(Failure::Defect))?,
        }
    }

    /// Waits until what goes on without its callers is done.
    pub async fn finish(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }
}

/// Carries the batches out.
#[derive(Debug)]
struct Maker {
    pool: PgPool,
    catalog: HoldServiceClient<Channel>,
    draft_ttl: time::Duration,
    wake: Arc<Wake>,
    health: Health,
    existing: Existing,
    under_way: TaskTracker,
}

impl Maker {
    /// Takes the units of these bookings and records those that got theirs.
    async fn hold(&self, new: Vec<New>) -> Vec<Result<Made, Failure>> {
        let _goes_on = self.under_way.token();
        // Before any units are taken: a database to record them in.
        if !self.health.is_up("database") {
            return each(new.len(), Err(Failure::Outage));
        }
        let wanted: Vec<Wanted> = new.iter().map(Wanted::of).collect();
        let placements = placement::place(&self.catalog, &wanted).await;
        let mut held = Vec::with_capacity(new.len());
        let outcomes: Vec<Option<Result<Made, Failure>>> = new
            .into_iter()
            .zip(placements)
            .map(|(mut new, placement)| match placement {
                Ok(Placement::Active(placed)) => {
                    for (line, price) in new.lines.iter_mut().zip(&placed.unit_prices_minor) {
                        line.unit_price_minor = Some(*price);
                    }
                    let total_minor = line::total_minor(&new.lines);
                    new.held = Some((placed, total_minor));
                    held.push(new);
                    None
                }
                // The first attempt's hold came to its end, so its booking is there: at least as a tombstone. Or it is something
                // else, which may be a stranger's under this customer's draft: the booking's row tells.
                Ok(Placement::Settled | Placement::Reused) => Some(Ok(self.repeated(new, None, true))),
                Ok(Placement::Refused(refused)) => Some(Ok(Made::Refused(Box::new(refused)))),
                Err(failure) => Some(Err(failure)),
            })
            .collect();
        let mut recorded = self.record(held, true).await.into_iter();
        outcomes
            .into_iter()
            .map(|outcome| outcome.or_else(|| recorded.next()).unwrap_or(Err(Failure::Defect)))
            .collect()
    }

    /// Records these bookings.
    async fn record(&self, new: Vec<New>, hold: bool) -> Vec<Result<Made, Failure>> {
        if new.is_empty() {
            return Vec::new();
        }
        let count = new.len();
        let some: Vec<_> = new.iter().take(telemetry::FEW).map(|new| new.id).collect();
        let made = async {
            if hold {
                reach(Step::CreatePlaced).await?;
            }
            creations::create(&self.pool, self.draft_ttl, &self.wake, new).await
        };
        let created = made
            .await
            .map_err(|error: Error| error.into_failure_of("create", telemetry::few(some).as_deref()));
        each(count, created)
            .into_iter()
            .map(|created| {
                created.map(|created| match created {
                    Created::New(seen) => Made::New(seen),
                    Created::Existing(seen, new) => self.repeated(*new, Some(*seen), hold),
                })
            })
            .collect()
    }

    /// Finds out, in a task of its own, what it means that the id of `new` was there, with this booking or one to be read.
    fn repeated(&self, new: New, found: Option<Seen>, hold: bool) -> Made {
        let existing = self.existing.clone();
        let outcome = async move {
            let found = match found {
                Some(found) => found,
                None => existing.get(new.id, &new.actor.seeing_all()).await.map_err(|error| match error {
                    // Nobody has recorded what was placed under it.
                    Error::NotFound(id) => Error::BookingIdReused(id),
                    other => other,
                })?,
            };
            existing.created_before(found, &new, hold).await
        };
        Made::Repeated(self.under_way.spawn(outcome.in_current_span()))
    }
}
