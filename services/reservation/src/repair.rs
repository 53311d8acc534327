//! The repair of a catalog that was restored from a backup older than the reservation database.
//!
//! The catalog lost holds and settlements; what should have become of them stands in the bookings, which alone decide. So
//! first, for every booking: its verdict is made, and what it no longer has is released, by all of its attempts: others may have
//! bought it since. Then, for every live one: its hold is put back, at the prices that were agreed; the verdict, asked once
//! more behind that, is carried over. Each step is one that the services take themselves and may be repeated: the repair may
//! run while they do, may die anywhere, and is run again. What it finds wrong is judged by the verdict of afterwards, and what one
//! row refuses is refused for that row alone.

mod calls;
mod judge;

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use anyhow::{Context as _, bail};
use proto::catalog::{
    GetHoldsRequest, HoldKey, HoldState, RestoreHoldsRequest, SettleHoldsRequest, SettleOutcome,
    audit_service_client::AuditServiceClient, hold_service_client::HoldServiceClient,
    restore_hold_outcome::Outcome,
};
use server::Channel;
use sqlx::PgPool;
use uuid::Uuid;

use self::{
    calls::{Refused, by_halves, insist},
    judge::{Carried, Found, encode, key, newer, portions, reason, resolving},
};
use crate::{
    domain::{
        booking::{Booking, State, StateName},
        command::{Policy, Reply, Verdict},
    },
    error::{Error, Failure},
    relay::Wake,
    store::{Inconsistent, bookings, row::Seen},
    transitions::{self, Answer, Asked},
};

/// Bookings in hand at a time.
const PAGE: i64 = 500;
/// The most verdicts in one call.
const VERDICTS: usize = 1_000;
/// The most holds that are looked at in one call.
const LOOKS: usize = 1_000;

/// What a repair did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bookings that were looked at.
    pub bookings: u64,
    /// Holds that were lost and are back.
    pub restored: u64,
    /// Holds that were told a verdict which they had lost.
    pub settled: u64,
    /// Bookings that it could not help.
    pub left: u64,
}

/// A booking that a repair could not help: people have to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Which.
    pub booking_id: Uuid,
    /// Its state; none when its row cannot be read.
    pub state: Option<StateName>,
    /// Why.
    pub why: String,
}

/// The catalog's services that the repair calls.
#[derive(Clone, Debug)]
pub(crate) struct Catalog {
    /// Puts holds back, and settles them.
    pub(crate) holds: HoldServiceClient<Channel>,
    /// Shows them.
    pub(crate) audit: AuditServiceClient<Channel>,
}

/// Repairs everything. Tells `leave` of each booking that it cannot help, once.
pub(crate) async fn run(
    pool: PgPool,
    catalog: Catalog,
    policy: Policy,
    leave: &mut (dyn FnMut(Left) + Send),
) -> anyhow::Result<Report> {
    let (report, told) = (Report::default(), HashSet::new());
    let mut repair = Repair { pool, catalog, policy, leave, report, told };
    for pass in [Pass::Release, Pass::Restore] {
        let mut from = Some(Uuid::nil());
        while let Some(first) = from {
            let page = bookings::list_from(&mut *repair.pool.acquire().await?, first, PAGE).await?;
            let last = page.last().map(|seen| match seen {
                Ok(seen) => seen.booking.id.get(),
                Err(wrong) => wrong.booking_id,
            });
            match pass {
                Pass::Release => repair.release(page).await?,
                Pass::Restore => repair.mend(page).await?,
            }
            from = last.and_then(|id| id.as_u128().checked_add(1)).map(Uuid::from_u128);
        }
    }
    Ok(repair.report)
}

/// All bookings are gone through twice: nothing is put back before everything is free that should be.
#[derive(Clone, Copy)]
enum Pass {
    Release,
    Restore,
}

struct Repair<'a> {
    pool: PgPool,
    catalog: Catalog,
    policy: Policy,
    leave: &'a mut (dyn FnMut(Left) + Send),
    report: Report,
    /// The bookings that `leave` was told of: nothing more is done about them.
    told: HashSet<Uuid>,
}

impl Repair<'_> {
    /// Releases what these bookings no longer have, and every attempt before their last: each of them ended with a release.
    async fn release(&mut self, page: Vec<Result<Seen, Inconsistent>>) -> anyhow::Result<()> {
        let bookings: Vec<Booking> = page.into_iter().filter_map(|seen| Some(seen.ok()?.booking)).collect();
        let asked: Vec<Asked> = bookings.iter().filter_map(resolving).collect();
        let over = self.resolve(&asked).await?.into_iter().filter_map(|resolved| {
            matches!(resolved.1, Verdict::Release { .. }).then(|| Carried::verdict(&resolved))?
        });
        let carried = bookings.iter().flat_map(Carried::earlier).chain(over).collect();
        // A draft has nothing that could be released; but of one that was sold, reservation has forgotten that.
        let drafts = bookings.iter().filter(|booking| matches!(booking.state, State::Initiated { .. }));
        self.doubt(drafts.map(|booking| (booking.clone(), key(booking))).collect()).await?;
        self.carry(carried).await
    }

    async fn mend(&mut self, page: Vec<Result<Seen, Inconsistent>>) -> anyhow::Result<()> {
        let mut asked = Vec::with_capacity(page.len());
        for seen in page {
            self.report.bookings += 1;
            match seen {
                Ok(Seen { booking, .. }) => asked.extend(resolving(&booking)),
                Err(Inconsistent { booking_id, what }) => self.left(booking_id, None, what.to_owned()),
            }
        }
        let live: Vec<Seen> = self
            .resolve(&asked)
            .await?
            .into_iter()
            .filter_map(|(seen, verdict)| (!matches!(verdict, Verdict::Release { .. })).then_some(seen))
            .filter(|seen| !self.told.contains(&seen.booking.id.get()))
            .collect();
        let mut found = HashMap::new();
        for portion in portions(&live) {
            self.restore(portion, &mut found).await?;
        }
        // What changed meanwhile may have told its verdict to a hold that was not back yet: so it is asked for again.
        let verdicts = self.resolve(&asked).await?;
        for (Seen { booking, .. }, verdict) in &verdicts {
            let complaint = found.get(&booking.id.get()).and_then(|found| found.complaint(booking, *verdict));
            if let Some(why) = complaint {
                self.left(booking.id.get(), Some(booking.state.name()), why);
            }
        }
        self.carry(verdicts.iter().filter_map(Carried::verdict).collect()).await
    }

    /// The verdicts on the holds of bookings, made now. One that cannot be made is told of.
    async fn resolve(&mut self, asked: &[Asked]) -> anyhow::Result<Vec<(Seen, Verdict)>> {
        let (pool, policy) = (&self.pool, &self.policy);
        let apply = async |part: &[Asked]| match transitions::apply(pool, policy, &Wake::default(), part)
            .await
        {
            Ok(answers) => Ok(answers),
            Err(error) => match error.into_failure("repair") {
                Failure::Defect => Err(Refused::Part("its verdict cannot be made: see the log".to_owned())),
                failure => Err(Refused::All(Error::Failed(failure).into())),
            },
        };
        let answers = by_halves(asked, apply).await?;
        let mut verdicts = Vec::with_capacity(answers.len());
        for (asked, answer) in asked.iter().zip(answers) {
            match answer {
                Ok(Ok(Answer::Booking(seen, Ok(Reply::Verdict(verdict))))) => verdicts.push((*seen, verdict)),
                Ok(Ok(Answer::Booking(seen, _))) => bail!("booking {} has no verdict", seen.booking.id),
                Ok(Ok(Answer::NotFound)) => {}
                Ok(Err(_)) => {
                    self.left(asked.booking_id.get(), None, "it makes no sense: see the log".to_owned());
                }
                Err(why) => self.left(asked.booking_id.get(), None, why),
            }
        }
        Ok(verdicts)
    }

    /// Puts the holds of live bookings back where they are missing, and notes where that is not all.
    async fn restore(&mut self, live: &[Seen], found: &mut HashMap<Uuid, Found>) -> anyhow::Result<()> {
        let holds = &self.catalog.holds;
        let restore = async |part: &[Seen]| {
            let request = RestoreHoldsRequest { holds: part.iter().map(encode).collect() };
            Ok(insist(async || holds.clone().restore_holds(request.clone()).await).await?.outcomes)
        };
        let outcomes = by_halves(live, restore).await.context("RestoreHolds")?;
        for (Seen { booking, .. }, outcome) in live.iter().zip(outcomes) {
            let wrong = match outcome.map(|outcome| outcome.outcome) {
                Ok(Some(Outcome::Restored(_))) => {
                    self.report.restored += 1;
                    continue;
                }
                Ok(Some(Outcome::Present(hold))) => match hold.state() {
                    HoldState::Active | HoldState::Unspecified => continue,
                    state => Found::Past(state),
                },
                Ok(Some(Outcome::Refused(refused))) => Found::Nothing(reason(&refused)),
                Ok(Some(Outcome::Damaged(_))) => Found::Nothing("its hold makes no sense".to_owned()),
                Ok(None) => bail!("the catalog did not say what became of a hold"),
                Err(why) => Found::Nothing(why),
            };
            found.insert(booking.id.get(), wrong);
        }
        Ok(())
    }

    /// Tells of the bookings whose holds were sold although, as far as reservation knows, they were never paid for.
    async fn doubt(&mut self, holds: Vec<(Booking, HoldKey)>) -> anyhow::Result<()> {
        for part in holds.chunks(LOOKS) {
            let request = GetHoldsRequest { keys: part.iter().map(|(_, key)| key.clone()).collect() };
            let look = async || self.catalog.audit.clone().get_holds(request.clone()).await;
            let known = insist(look).await.context("GetHolds")?.holds;
            let sold: HashSet<(String, i32)> = known
                .into_iter()
                .filter(|hold| hold.state() == HoldState::Committed)
                .filter_map(|hold| hold.key.map(|key| (key.booking_id, key.attempt)))
                .collect();
            for (booking, key) in part {
                if sold.contains(&(key.booking_id.clone(), key.attempt)) {
                    self.left(booking.id.get(), Some(booking.state.name()), newer(HoldState::Committed));
                }
            }
        }
        Ok(())
    }

    /// Carries verdicts over, but of those bookings that were told of; what is known, or not to be known, to the catalog changes
    /// nothing.
    async fn carry(&mut self, carried: Vec<Carried>) -> anyhow::Result<()> {
        let unpaid = carried.iter().filter(|carried| carried.unpaid);
        let doubtful =
            unpaid.filter_map(|carried| Some((carried.booking.clone(), carried.settle.key.clone()?)));
        self.doubt(doubtful.collect()).await?;
        let holds = self.catalog.holds.clone();
        let settle = async |part: &[Carried]| {
            let request =
                SettleHoldsRequest { holds: part.iter().map(|carried| carried.settle.clone()).collect() };
            let response = insist(async || holds.clone().settle_holds(request.clone()).await).await?;
            Ok(response.outcomes().collect())
        };
        let carried: Vec<Carried> =
            carried.into_iter().filter(|one| !self.told.contains(&one.booking.id.get())).collect();
        for part in carried.chunks(VERDICTS) {
            let outcomes = by_halves(part, &settle).await.context("SettleHolds")?;
            for (Carried { booking, .. }, outcome) in part.iter().zip(outcomes) {
                match outcome {
                    Ok(SettleOutcome::Settled) => self.report.settled += 1,
                    Ok(_) => {}
                    Err(why) => self.left(booking.id.get(), Some(booking.state.name()), why),
                }
            }
        }
        Ok(())
    }

    fn left(&mut self, booking_id: Uuid, state: Option<StateName>, why: String) {
        if self.told.insert(booking_id) {
            self.report.left += 1;
            (self.leave)(Left { booking_id, state, why });
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bookings, restored, settled, left } = self;
        write!(
            f,
            "{bookings} bookings: {restored} holds restored, {settled} settled, {left} not to be helped"
        )
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.map_or("unreadable", StateName::as_str);
        write!(f, "booking {} is {state}: {}", self.booking_id, self.why)
    }
}
