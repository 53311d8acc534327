//! ResolveHolds, then SettleHolds: the one way in which holds get settled, for timers and sweep alike, in natural batches.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use batch::{BatchLimits, Batcher};
use failpoint::{Step, reach};
use proto::{
    catalog::{HoldKey, SettleHold, SettleHoldsRequest, SettleOutcome},
    reservation::ResolveHoldsRequest,
};
use time::OffsetDateTime;
use tokio::sync::{Mutex, MutexGuard};
use tracing::Instrument as _;

use crate::{
    Catalog, Reservation,
    clock::Clock,
    failure::Failure,
    halving::Halving,
    metrics::Metrics,
    verdict::{Decision, Path},
};

/// A chunk has up to 50 holds: so a batch has up to 5,000.
const LIMITS: BatchLimits =
    BatchLimits { max_batch: 100, queue: 10_000, in_flight: 4, beside: 1, max_wait: Duration::MAX };
/// From so many holds on, a call to a service takes turns with others as large of this process: a storm keeps one session of each
/// database busy, not four, and leaves the rest to those who come meanwhile.
const LARGE: usize = 1_000;

/// Holds to ask about.
#[derive(Clone, Debug)]
struct Ask {
    path: Path,
    keys: Vec<HoldKey>,
}

/// One hold of a question, which is told by its place in the batch.
struct Single {
    ask: usize,
    path: Path,
    key: HoldKey,
}

/// A hold that is not due. All others of the question are settled.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct NotDue {
    /// The hold.
    pub(crate) key: HoldKey,
    /// Its deadline now.
    pub(crate) expires_at: OffsetDateTime,
    /// When to ask again at the earliest.
    pub(crate) due_at: Instant,
}

/// Settles holds. Clones share the batches.
#[derive(Clone, Debug)]
pub(crate) struct Settler {
    batches: Batcher<Ask, Result<Vec<NotDue>, Failure>>,
}

impl Settler {
    /// Starts to.
    pub(crate) fn start(
        reservation: Reservation,
        catalog: Catalog,
        clock: Clock,
        metrics: Arc<Metrics>,
        review_grace: Duration,
    ) -> Self {
        let (turn, large) = (Arc::default(), Arc::default());
        let calls = Calls { reservation, catalog, clock, metrics, review_grace, turn, large };
        Self {
            batches: Batcher::start("settle", LIMITS, move |asks: Vec<Ask>| {
                let calls = calls.clone();
                let span = tracing::info_span!("job.settle", questions = asks.len());
                async move { calls.answer(asks).await }.instrument(span)
            }),
        }
    }

    /// Waits until nothing is settled any more: only a defect ends it.
    pub(crate) async fn ended(self) {
        self.batches.ended().await;
    }

    /// Gets verdicts on these holds and carries them over. Returns those that are not due; the others are settled.
    pub(crate) async fn settle(&self, path: Path, keys: Vec<HoldKey>) -> Result<Vec<NotDue>, Failure> {
        self.batches.submit(Ask { path, keys }).await?
    }
}

/// What a batch needs.
#[derive(Clone)]
struct Calls {
    reservation: Reservation,
    catalog: Catalog,
    clock: Clock,
    metrics: Arc<Metrics>,
    review_grace: Duration,
    /// Counts the batches.
    turn: Arc<AtomicUsize>,
    large: Arc<Large>,
}

/// Turns of large calls, to each service one at a time.
#[derive(Default)]
struct Large {
    resolve: Mutex<()>,
    settle: Mutex<()>,
}

/// The turn of a call about so many holds.
async fn turn(turns: &Mutex<()>, holds: usize) -> Option<MutexGuard<'_, ()>> {
    if holds < LARGE { None } else { Some(turns.lock().await) }
}

impl Calls {
    /// Answers all together. If they are refused, by halves (`halving`): a bad one does not fail its neighbours, and does
    /// not keep them waiting. Who is away is asked no more.
    async fn answer(mut self, asks: Vec<Ask>) -> Vec<Result<Vec<NotDue>, Failure>> {
        let mut answers: Vec<_> = asks.iter().map(|_| Ok(Vec::new())).collect();
        let keys = |(ask, Ask { path, keys }): (usize, Ask)| {
            keys.into_iter().map(move |key| Single { ask, path, key })
        };
        let mut all: Vec<_> = asks.into_iter().enumerate().flat_map(keys).collect();
        // Should everything seem to be refused, other holds of it stand for the rest when they are tried again.
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % all.len().max(1);
        all.rotate_left(turn);
        let mut halving = Halving::new(all.len());
        while let Some(part) = halving.next() {
            match self.settle(&all[part.clone()]).await {
                Ok(not_due) => {
                    halving.settled();
                    for (single, not_due) in all[part].iter().zip(not_due) {
                        if let Ok(answer) = &mut answers[single.ask] {
                            answer.extend(not_due);
                        }
                    }
                }
                Err(failure @ Failure::Defect(_)) if halving.split(&part) => {
                    tracing::debug!(%failure, holds = part.len(), "a batch was refused: it goes by halves");
                }
                Err(failure) => {
                    let mut failed = vec![part];
                    let outage = matches!(failure, Failure::Outage(_));
                    if outage || halving.is_hopeless() {
                        failed.extend(halving.take_rest());
                    }
                    let holds = failed.iter().map(ExactSizeIterator::len).sum::<usize>();
                    if outage {
                        tracing::debug!(%failure, holds, "holds cannot be settled now");
                    } else {
                        tracing::warn!(%failure, holds, "holds are refused");
                    }
                    for single in failed.into_iter().flat_map(|part| &all[part]) {
                        answers[single.ask] = Err(failure.clone());
                    }
                }
            }
        }
        answers
    }

    /// Both calls. What the second one did, when it fails, is unknown, and asked again it does no harm.
    async fn settle(&mut self, asked: &[Single]) -> Result<Vec<Option<NotDue>>, Failure> {
        let holds: Vec<(Path, &HoldKey)> = asked.iter().map(|single| (single.path, &single.key)).collect();
        let large = Arc::clone(&self.large);
        let decisions = {
            let _turn = turn(&large.resolve, holds.len()).await;
            self.resolve(&holds).await?
        };
        let answered = Instant::now();
        reach(Step::CarryResolved).await?;
        let outcomes = {
            let _turn = turn(&large.settle, holds.len()).await;
            self.carry_over(&holds, &decisions).await?
        };
        reach(Step::CarrySettled).await?;
        self.measure(&holds, &decisions, &outcomes);

        let not_due = holds.into_iter().zip(decisions).map(|((_, key), decision)| match decision {
            Decision::NotDue { left, expires_at } => {
                Some(NotDue { key: key.clone(), expires_at, due_at: answered + left })
            }
            Decision::Release(_) | Decision::Commit => None,
        });
        Ok(not_due.collect())
    }

    /// The decision on each hold.
    async fn resolve(&mut self, holds: &[(Path, &HoldKey)]) -> Result<Vec<Decision>, Failure> {
        let keys = holds.iter().map(|(_, key)| (*key).clone()).collect();
        let response = self.reservation.resolve_holds(ResolveHoldsRequest { keys }).await;
        let verdicts = response.map_err(|status| Failure::of("reservation", &status))?.into_inner().verdicts;
        if verdicts.len() != holds.len() {
            return Err(Failure::nonsense(
                "reservation",
                "as many verdicts as holds were asked for, others came",
            ));
        }
        let decisions: Option<Vec<_>> = verdicts.iter().map(Decision::parse).collect();
        decisions.ok_or_else(|| Failure::nonsense("reservation", "a verdict makes no sense"))
    }

    /// Tells the catalog. Returns the outcome for each hold that it was told of.
    async fn carry_over(
        &mut self,
        holds: &[(Path, &HoldKey)],
        decisions: &[Decision],
    ) -> Result<Vec<Option<SettleOutcome>>, Failure> {
        let settlements: Vec<_> = holds
            .iter()
            .zip(decisions)
            .map(|((path, key), decision)| {
                let verdict = decision.settlement(*path, self.review_grace)?;
                Some(SettleHold { key: Some((*key).clone()), verdict: Some(verdict) })
            })
            .collect();
        let told: Vec<_> = settlements.iter().flatten().cloned().collect();
        if told.is_empty() {
            return Ok(vec![None; holds.len()]);
        }
        let count = told.len();
        let response = self.catalog.settle_holds(SettleHoldsRequest { holds: told }).await;
        let response = response.map_err(|status| Failure::of("catalog", &status))?.into_inner();
        if response.outcomes.len() != count {
            return Err(Failure::nonsense("catalog", "as many outcomes as verdicts were told, others came"));
        }
        let mut outcomes = response.outcomes();
        Ok(settlements.iter().map(|settlement| settlement.as_ref().and_then(|_| outcomes.next())).collect())
    }

    fn measure(
        &self,
        holds: &[(Path, &HoldKey)],
        decisions: &[Decision],
        outcomes: &[Option<SettleOutcome>],
    ) {
        let now = Instant::now();
        for (((path, key), decision), outcome) in holds.iter().zip(decisions).zip(outcomes) {
            self.metrics.verdict(*path, *decision, *outcome);
            match (decision, outcome) {
                (Decision::Release(Some(deadline)), Some(SettleOutcome::Settled)) => {
                    if let Some(lag) = self.clock.since(*deadline, now) {
                        self.metrics.released(*path, lag);
                    }
                }
                (_, Some(SettleOutcome::Unknown)) => {
                    let HoldKey { booking_id, attempt } = key;
                    tracing::warn!(
                        booking_id,
                        attempt,
                        "the catalog knows nothing of a hold that has a verdict"
                    );
                }
                _ => {}
            }
        }
    }
}
