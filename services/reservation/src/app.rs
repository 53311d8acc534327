//! What a handler works with.

use std::{sync::Arc, time::Duration};

use batch::BatchLimits;
use proto::catalog::hold_service_client::HoldServiceClient;
use server::{Channel, Health, Jobs, Share, Turn};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{creator::Creator, domain::command::Policy, error::Error, existing::Existing, relay::Wake};

/// What bounds every batcher. A batch grows while the one before it is under way; its largest weight, in lines of new bookings,
/// or commands, or reads, bounds the time that it takes. Who finds a full queue, or would wait in it for longer, is refused at
/// once.
const LIMITS: BatchLimits = BatchLimits {
    max_batch: 1_000,
    queue: 4_096,
    in_flight: 1,
    beside: 64,
    max_wait: Duration::from_secs(1),
};
/// Lists that are read at a time, and that wait for it.
const LISTS: usize = 2;
const LISTS_WAITING: usize = 64;

/// The service's parts, shared by all handlers.
#[derive(Clone, Debug)]
pub struct App {
    /// The database.
    pub pool: PgPool,
    /// The operator's rules.
    pub policy: Policy,
    /// Rings when the outbox has something new.
    pub wake: Arc<Wake>,
    /// Bookings that are there.
    pub existing: Existing,
    /// New ones.
    pub creator: Creator,
    lists: Share,
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
        let existing = Existing::start(&pool, catalog.clone(), policy, &wake, LIMITS);
        let creator =
            Creator::start(&pool, catalog, draft_ttl, Arc::clone(&wake), health, existing.clone(), LIMITS);
        Self { pool, policy, wake, existing, creator, lists: Share::new(LISTS, LISTS_WAITING) }
    }

    /// Makes the end of a batcher the end of the process, until `until`: nothing could be read or written any more.
    pub fn supervise(&self, jobs: &Jobs, until: &CancellationToken) {
        self.existing.supervise(jobs, until);
        self.creator.supervise(jobs, until);
    }

    /// A turn to read a list from the database: lists have a share of it, and no more.
    pub async fn list_turn(&self) -> Result<Turn, Error> {
        Ok(self.lists.turn().await?)
    }
}
