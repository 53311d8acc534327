//! HoldService. Internal.

use std::time::Duration;

use api::{field, page::Token};
use batch::{BatchLimits, Batcher};
use proto::catalog as pb;
use server::{Jobs, caller_waits_until};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use crate::{
    convert::hold as convert,
    domain::{
        hold::OverdueHold,
        place::{Outcome, PlaceRequest},
    },
    error::{Error, Failure},
    holds::{self, Settings},
    metrics, store,
};

/// The most lines that go into one transaction, from several calls; each brings a batch of its own, of up to 1,000.
const MAX_BATCH: usize = 4_000;
/// What may wait for a transaction; beyond it callers are refused at once.
const QUEUE: usize = 64;
/// How long a call should wait for its transaction.
const MAX_WAIT: Duration = Duration::from_secs(1);
/// The most verdicts in one transaction, each on up to 100 lines. What an unfinished call has settled stays settled, so
/// asking again comes to an end.
const VERDICTS_PER_TRANSACTION: usize = 500;

/// Serves the internal API.
#[derive(Clone, Debug)]
pub struct HoldRpc {
    pool: PgPool,
    settings: Settings,
    placer: Batcher<Vec<PlaceRequest>, Result<Vec<Outcome>, Failure>>,
}

impl HoldRpc {
    /// Starts the batcher.
    #[must_use]
    pub fn new(pool: PgPool, settings: Settings) -> Self {
        let limits =
            BatchLimits { max_batch: MAX_BATCH, queue: QUEUE, in_flight: 1, beside: 1, max_wait: MAX_WAIT };
        let place_pool = pool.clone();
        let placer = Batcher::start("place", limits, move |calls: Vec<Vec<PlaceRequest>>| {
            let pool = place_pool.clone();
            async move { place(&pool, settings, calls).await }
        });
        Self { pool, settings, placer }
    }

    /// Makes the end of the batcher the end of the process, until `until`: no hold could be placed any more.
    pub fn supervise(&self, jobs: &Jobs, until: &CancellationToken) {
        jobs.watch("place batcher", until, self.placer.clone().ended());
    }
}

/// Carries out several calls as one batch, and hands the outcomes out.
async fn place(
    pool: &PgPool,
    settings: Settings,
    calls: Vec<Vec<PlaceRequest>>,
) -> Vec<Result<Vec<Outcome>, Failure>> {
    let sizes: Vec<usize> = calls.iter().map(Vec::len).collect();
    let requests: Vec<PlaceRequest> = calls.into_iter().flatten().collect();
    match holds::place(pool, settings, &requests).await {
        Ok(outcomes) => {
            metrics::placed(&outcomes);
            let mut outcomes = outcomes.into_iter();
            sizes.into_iter().map(|size| Ok(outcomes.by_ref().take(size).collect())).collect()
        }
        Err(error) => {
            let ids = telemetry::few(requests.iter().map(|request| request.key.booking_id));
            let failure = error.into_failure_of("place", ids.as_deref());
            sizes.into_iter().map(|_| Err(failure)).collect()
        }
    }
}

#[tonic::async_trait]
impl pb::hold_service_server::HoldService for HoldRpc {
    async fn place_holds(
        &self,
        request: Request<pb::PlaceHoldsRequest>,
    ) -> Result<Response<pb::PlaceHoldsResponse>, Status> {
        let requests = convert::place_requests(request.into_inner())?;
        let lines = requests.iter().map(|request| request.items.len()).sum();
        let placed = self.placer.submit_by(requests, lines, caller_waits_until()).await;
        let outcomes = placed.map_err(Error::from)?.map_err(Error::Failed)?;
        let outcomes = outcomes.into_iter().map(convert::place_outcome).collect();
        Ok(Response::new(pb::PlaceHoldsResponse { outcomes }))
    }

    async fn settle_holds(
        &self,
        request: Request<pb::SettleHoldsRequest>,
    ) -> Result<Response<pb::SettleHoldsResponse>, Status> {
        let verdicts = convert::verdicts(&request.into_inner())?;
        let mut outcomes = Vec::with_capacity(verdicts.len());
        for part in verdicts.chunks(VERDICTS_PER_TRANSACTION) {
            let settled = holds::settle(&self.pool, part).await?;
            metrics::settled(part, &settled);
            outcomes.extend(settled.into_iter().map(|outcome| i32::from(convert::settle_outcome(outcome))));
        }
        Ok(Response::new(pb::SettleHoldsResponse { outcomes }))
    }

    async fn restore_holds(
        &self,
        request: Request<pb::RestoreHoldsRequest>,
    ) -> Result<Response<pb::RestoreHoldsResponse>, Status> {
        let requests = convert::restore_requests(request.into_inner())?;
        let outcomes = holds::restore(&self.pool, self.settings, &requests).await?;
        let outcomes = outcomes.into_iter().map(convert::restore_outcome).collect();
        Ok(Response::new(pb::RestoreHoldsResponse { outcomes }))
    }

    async fn list_overdue_holds(
        &self,
        request: Request<pb::ListOverdueHoldsRequest>,
    ) -> Result<Response<pb::ListOverdueHoldsResponse>, Status> {
        let request = request.into_inner();
        let limit = match request.limit {
            0 => 500,
            limit => field::integer("limit", limit, 1..=1_000)?,
        };
        let token = Token::new("ListOverdueHolds", &[]);
        let after = token.read("page_token", &request.page_token)?.unwrap_or_else(OverdueHold::start);
        let statement =
            async { store::holds::list_overdue(&mut *self.pool.acquire().await?, after, limit).await };
        let holds = postgres::traced(&self.pool, "ListOverdueHolds", statement).await?;
        if !holds.is_empty() {
            failpoint::reach(failpoint::Step::OverdueListed).await.map_err(Error::from)?;
        }
        let full = i64::try_from(holds.len()).is_ok_and(|count| count >= limit);
        let last = holds.last().filter(|_| full);
        let next_page_token = last.map(|hold| token.after(hold)).unwrap_or_default();
        let keys = holds.into_iter().map(|hold| convert::encode_key(hold.key)).collect();
        Ok(Response::new(pb::ListOverdueHoldsResponse { keys, next_page_token }))
    }
}
