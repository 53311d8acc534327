//! SettlementService: verdicts on holds, and the end of abandoned drafts. Internal.

use api::{Violations, field};
use failpoint::{Step, reach};
use proto::reservation as pb;
use time::OffsetDateTime;
use tonic::{Request, Response, Status};

use super::opened;
use crate::{
    app::App,
    convert,
    domain::{
        actor::Actor,
        booking::StateName,
        command::{Command, Reply, Verdict},
        ids::BookingId,
    },
    error::{Error, Failure},
    store::bookings::{self, AbandonedDraft},
    transitions::{self, Answer, Asked},
};

/// The most keys in one call.
const MAX_KEYS: usize = 10_000;
/// The most verdicts in one transaction: what bounds the time that bookings are locked.
const KEYS_PER_TRANSACTION: usize = 1_000;
/// The least time that is answered as left.
const LEAST_LEFT: time::Duration = time::Duration::milliseconds(1);

/// Serves the internal API.
#[derive(Clone, Debug)]
pub struct SettlementRpc(pub App);

#[tonic::async_trait]
impl pb::settlement_service_server::SettlementService for SettlementRpc {
    async fn resolve_holds(
        &self,
        request: Request<pb::ResolveHoldsRequest>,
    ) -> Result<Response<pb::ResolveHoldsResponse>, Status> {
        let (actor, request) = opened(request, "ResolveHolds")?;
        let asked = parse(&request, &actor)?;
        let mut verdicts = Vec::with_capacity(asked.len());
        for asked in asked.chunks(KEYS_PER_TRANSACTION) {
            let answers = self.apply(asked).await?;
            reach(Step::ResolveDecided).await.map_err(Error::from)?;
            for answer in answers {
                verdicts.push(encode(answer.map_err(Error::Failed)?)?);
            }
        }
        let now = self.clock().await?;
        Ok(Response::new(pb::ResolveHoldsResponse {
            verdicts,
            server_time: Some(api::time::to_timestamp(now)),
        }))
    }

    async fn expire_drafts(
        &self,
        request: Request<pb::ExpireDraftsRequest>,
    ) -> Result<Response<pb::ExpireDraftsResponse>, Status> {
        let (actor, request) = opened(request, "ExpireDrafts")?;
        let limit = match request.limit {
            0 => 500,
            limit => field::integer("limit", limit, 1..=1_000).map_err(Error::from)?,
        };
        let expired = self.expire(limit, &actor).await?;
        Ok(Response::new(pb::ExpireDraftsResponse { expired }))
    }
}

impl SettlementRpc {
    async fn apply(&self, asked: &[Asked]) -> Result<Vec<Result<Answer, Failure>>, Error> {
        let App { pool, policy, wake, .. } = &self.0;
        transitions::apply(pool, policy, wake, asked).await
    }

    async fn clock(&self) -> Result<OffsetDateTime, Error> {
        let pool = &self.0.pool;
        let statement = async { bookings::clock(&mut *pool.acquire().await?).await };
        postgres::traced(pool, "ReadClock", statement).await
    }

    /// Expires drafts, `limit` at least if there are as many. Those that make no sense stay, and keep no other from it: not even
    /// whole pages of them.
    async fn expire(&self, limit: i64, actor: &Actor) -> Result<i32, Error> {
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let (mut expired, mut after) = (0, None);
        while expired < wanted {
            let pool = &self.0.pool;
            let statement =
                async { bookings::list_abandoned_drafts(&mut *pool.acquire().await?, after, limit).await };
            let page = postgres::traced(pool, "ListAbandonedDrafts", statement).await?;
            let Some(last) = page.last() else { break };
            after = Some(*last);
            reach(Step::DraftsListed).await?;
            expired += self.expire_page(&page, actor).await?;
            reach(Step::DraftsExpired).await?;
            if page.len() < wanted {
                break;
            }
        }
        Ok(i32::try_from(expired).unwrap_or(i32::MAX))
    }

    /// Answers how many of these it expired.
    async fn expire_page(&self, page: &[AbandonedDraft], actor: &Actor) -> Result<usize, Error> {
        let asked: Vec<Asked> =
            page.iter().map(|draft| asked(draft.booking_id, Command::Review, actor)).collect();
        let answers = self.apply(&asked).await?;
        let expired = answers.iter().flatten().filter(|answer| match answer {
            Answer::Booking(seen, _) => seen.booking.state.name() == StateName::Expired,
            Answer::NotFound => false,
        });
        Ok(expired.count())
    }
}

fn asked(booking_id: BookingId, command: Command, actor: &Actor) -> Asked {
    Asked { booking_id, command, actor: actor.clone() }
}

fn parse(request: &pb::ResolveHoldsRequest, actor: &Actor) -> Result<Vec<Asked>, Error> {
    field::count("keys", request.keys.len(), 0..=MAX_KEYS)?;
    let mut bad = Violations::default();
    let all = request
        .keys
        .iter()
        .enumerate()
        .filter_map(|(i, key)| bad.keep_all(convert::hold_key(&format!("keys[{i}]"), Some(key))))
        .map(|(booking_id, attempt)| asked(booking_id, Command::Resolve(attempt), actor))
        .collect();
    bad.check()?;
    Ok(all)
}

/// An unknown booking has its tombstone by now: RELEASE.
fn encode(answer: Answer) -> Result<pb::HoldVerdict, Error> {
    use pb::hold_verdict::{Commit, Release, Verdict as Encoded};
    let (verdict, now) = match answer {
        Answer::NotFound => (Verdict::Release { expired: None }, None),
        Answer::Booking(seen, Ok(Reply::Verdict(verdict))) => (verdict, Some(seen.now)),
        Answer::Booking(seen, _) => {
            tracing::error!(booking_id = %seen.booking.id, "a question for a verdict got none");
            return Err(Error::Failed(Failure::Defect));
        }
    };
    let (encoded, deadline) = match verdict {
        Verdict::Release { expired } => (Encoded::Release(Release {}), expired),
        Verdict::Commit => (Encoded::Commit(Commit {}), None),
        Verdict::NotDue { deadline } => {
            let left = now.map_or(LEAST_LEFT, |now| (deadline - now).max(LEAST_LEFT));
            (Encoded::NotDue(api::time::to_duration(left)), Some(deadline))
        }
    };
    Ok(pb::HoldVerdict { verdict: Some(encoded), expire_time: deadline.map(api::time::to_timestamp) })
}
