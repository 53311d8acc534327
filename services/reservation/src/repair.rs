//! The repair of a catalog that was restored from a backup older than the reservation database.
//!
//! The catalog lost holds and settlements; what should have become of them stands in the bookings, which alone decide. So
//! first, for every booking: its verdict is made, and what it no longer has is released, by all of its attempts: others may have
//! bought it since. Then, for every live one: its hold is put back, at the prices that were agreed; the verdict, asked once
//! more behind that, is carried over. Each step is one that the services take themselves and may be repeated: the repair may
//! run while they do, may die anywhere, and is run again.

use std::{collections::BTreeMap, fmt, time::Duration};

use anyhow::{Context as _, bail, ensure};
use proto::catalog::{
    HoldKey, HoldLine, HoldState, Money, PlacedHold, RefusedHold, RestoreHold, RestoreHoldsRequest,
    SettleHold, SettleHoldsRequest, SettleOutcome, hold_service_client::HoldServiceClient,
    restore_hold_outcome::Outcome, settle_hold,
};
use server::Channel;
use sqlx::PgPool;
use tokio::time::{Instant, sleep};
use tonic::{Response, Status};
use uuid::Uuid;

use crate::{
    domain::{
        actor::Actor,
        booking::{Booking, State, StateName},
        command::{Command, Policy, Reply, Verdict},
    },
    error::Error,
    placement,
    relay::Wake,
    store::{Inconsistent, bookings, row::Seen},
    transitions::{self, Answer, Asked},
};

/// Bookings in hand at a time.
const PAGE: i64 = 500;
/// The most lines of holds that are put back in one transaction.
const LINES: usize = 1_000;
/// The most verdicts in one call.
const VERDICTS: usize = 1_000;
/// The shortest and the longest time that a hold may be put back for, in ms.
const TTL_MS: (i128, i128) = (100, 86_400_000);
/// How long a catalog that is away or busy is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait before it is asked again, unless it says otherwise.
const RETRY_DELAY: Duration = Duration::from_millis(250);

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

/// Repairs everything. Tells `leave` of each booking that it cannot help.
pub(crate) async fn run(
    pool: PgPool,
    catalog: HoldServiceClient<Channel>,
    policy: Policy,
    leave: &mut dyn FnMut(Left),
) -> anyhow::Result<Report> {
    let mut repair = Repair { pool, catalog, policy, leave, report: Report::default() };
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
    catalog: HoldServiceClient<Channel>,
    policy: Policy,
    leave: &'a mut dyn FnMut(Left),
    report: Report,
}

impl Repair<'_> {
    /// Releases what these bookings no longer have, and every attempt before their last: each of them ended with a release.
    async fn release(&mut self, page: Vec<Result<Seen, Inconsistent>>) -> anyhow::Result<()> {
        let bookings: Vec<Booking> = page.into_iter().filter_map(|seen| Some(seen.ok()?.booking)).collect();
        let asked: Vec<Asked> = bookings.iter().filter_map(resolving).collect();
        let over = self.resolve(&asked).await?.into_iter().filter_map(|(seen, verdict)| {
            matches!(verdict, Verdict::Release { .. }).then(|| key(&seen.booking))
        });
        let earlier = bookings.iter().flat_map(|booking| {
            let booking_id = booking.id.to_string();
            (1..booking.attempt.get()).map(move |attempt| HoldKey { booking_id: booking_id.clone(), attempt })
        });
        let release = settle_hold::Verdict::Release(settle_hold::Release {});
        let holds: Vec<SettleHold> =
            earlier.chain(over).map(|key| SettleHold { key: Some(key), verdict: Some(release) }).collect();
        self.settle(holds).await
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
            .collect();
        for portion in portions(&live) {
            self.restore(portion).await?;
        }
        // What changed meanwhile may have told its verdict to a hold that was not back yet: so it is asked for again.
        let verdicts = self.resolve(&asked).await?;
        self.settle(verdicts.iter().filter_map(settlement).collect()).await
    }

    /// The verdicts on the holds of bookings, made now.
    async fn resolve(&self, asked: &[Asked]) -> anyhow::Result<Vec<(Seen, Verdict)>> {
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let answers = transitions::apply(&self.pool, &self.policy, &Wake::default(), asked).await?;
        let mut verdicts = Vec::with_capacity(answers.len());
        for answer in answers {
            match answer.map_err(Error::Failed)? {
                Answer::Booking(seen, Ok(Reply::Verdict(verdict))) => verdicts.push((*seen, verdict)),
                Answer::Booking(seen, _) => bail!("booking {} has no verdict", seen.booking.id),
                Answer::NotFound => {}
            }
        }
        Ok(verdicts)
    }

    /// Puts the holds of live bookings back where they are missing.
    async fn restore(&mut self, live: &[Seen]) -> anyhow::Result<()> {
        let request = RestoreHoldsRequest { holds: live.iter().map(encode).collect() };
        let call = async || self.catalog.clone().restore_holds(request.clone()).await;
        let outcomes = insist(call).await.context("RestoreHolds")?.outcomes;
        ensure!(outcomes.len() == live.len(), "the catalog miscounted");
        for (Seen { booking, .. }, outcome) in live.iter().zip(outcomes) {
            let why = match outcome.outcome {
                Some(Outcome::Restored(_)) => {
                    self.report.restored += 1;
                    continue;
                }
                Some(Outcome::Present(hold)) => disagreement(booking, &hold),
                Some(Outcome::Refused(refused)) => Some(reason(&refused)),
                None => bail!("the catalog did not say what became of a hold"),
            };
            if let Some(why) = why {
                self.left(booking.id.get(), Some(booking.state.name()), why);
            }
        }
        Ok(())
    }

    /// Carries verdicts over; what is known, or not to be known, to the catalog changes nothing.
    async fn settle(&mut self, holds: Vec<SettleHold>) -> anyhow::Result<()> {
        for part in holds.chunks(VERDICTS) {
            let request = SettleHoldsRequest { holds: part.to_vec() };
            let call = async || self.catalog.clone().settle_holds(request.clone()).await;
            let response = insist(call).await.context("SettleHolds")?;
            let settled = response.outcomes().filter(|outcome| *outcome == SettleOutcome::Settled).count();
            self.report.settled += settled as u64;
        }
        Ok(())
    }

    fn left(&mut self, booking_id: Uuid, state: Option<StateName>, why: String) {
        self.report.left += 1;
        (self.leave)(Left { booking_id, state, why });
    }
}

/// Parts with a bounded number of lines, of one booking at least.
fn portions(live: &[Seen]) -> Vec<&[Seen]> {
    let mut portions = Vec::new();
    let (mut start, mut lines) = (0, 0);
    for (i, seen) in live.iter().enumerate() {
        if i > start && lines + seen.booking.lines.len() > LINES {
            portions.push(&live[start..i]);
            (start, lines) = (i, 0);
        }
        lines += seen.booking.lines.len();
    }
    if start < live.len() {
        portions.push(&live[start..]);
    }
    portions
}

/// The question for the verdict on a booking's hold; none for a draft: it has no hold yet, and a verdict on one would end its attempt.
fn resolving(booking: &Booking) -> Option<Asked> {
    let is_draft = matches!(booking.state, State::Initiated { .. });
    (!is_draft).then_some(Asked {
        booking_id: booking.id,
        command: Command::Resolve(booking.attempt),
        actor: Actor::program("repair"),
    })
}

/// What to tell the catalog of a verdict, if anything.
fn settlement((seen, verdict): &(Seen, Verdict)) -> Option<SettleHold> {
    let verdict = match verdict {
        Verdict::Release { .. } => settle_hold::Verdict::Release(settle_hold::Release {}),
        Verdict::Commit => settle_hold::Verdict::Commit(settle_hold::Commit {}),
        Verdict::NotDue { .. } => return None,
    };
    Some(SettleHold { key: Some(key(&seen.booking)), verdict: Some(verdict) })
}

fn key(booking: &Booking) -> HoldKey {
    HoldKey { booking_id: booking.id.to_string(), attempt: booking.attempt.get() }
}

/// The hold of a live booking as it was placed, for the time that is left.
fn encode(Seen { booking, now }: &Seen) -> RestoreHold {
    let hold = booking.state.hold();
    let currency_code = hold.map(|hold| hold.currency.clone()).unwrap_or_default();
    let left = hold.map_or(0, |hold| (hold.deadline - *now).whole_milliseconds());
    let left = i64::try_from(left.clamp(TTL_MS.0, TTL_MS.1)).unwrap_or_default();
    let price = |minor_units: Option<i64>| Money {
        currency_code: currency_code.clone(),
        minor_units: minor_units.unwrap_or_default(),
    };
    RestoreHold {
        key: Some(key(booking)),
        lines: booking
            .lines
            .iter()
            .map(|line| HoldLine { item: Some(placement::encode_item(&line.item)) })
            .collect(),
        unit_prices: booking.lines.iter().map(|line| price(line.unit_price_minor)).collect(),
        hold_ttl: Some(api::time::to_duration_ms(left)),
    }
}

/// What is wrong with the hold that a live booking has in the catalog, beside a verdict that is on its way.
fn disagreement(booking: &Booking, hold: &PlacedHold) -> Option<String> {
    let is_paid = booking.state.name() == StateName::Confirmed;
    match hold.state() {
        HoldState::Active | HoldState::Unspecified => None,
        HoldState::Committed if is_paid => None,
        HoldState::Committed => {
            Some("its hold is COMMITTED: the catalog is newer than reservation".to_owned())
        }
        HoldState::Released => Some("its hold is RELEASED: the catalog is newer than reservation".to_owned()),
    }
}

/// Why the catalog refused, with what about.
fn reason(refused: &RefusedHold) -> String {
    let name = api::reason_name(refused.reason().as_str_name()).to_owned();
    let about =
        BTreeMap::from_iter(&refused.metadata).into_iter().map(|(name, value)| format!("{name}={value}"));
    [name].into_iter().chain(about).collect::<Vec<_>>().join(" ")
}

/// Makes a call until it is answered, for so long.
async fn insist<T>(call: impl AsyncFn() -> Result<Response<T>, Status>) -> anyhow::Result<T> {
    let until = Instant::now() + PATIENCE;
    loop {
        match call().await {
            Ok(response) => return Ok(response.into_inner()),
            Err(status) if api::is_outage(status.code()) && Instant::now() < until => {
                sleep(api::retry_delay_of(&status).unwrap_or(RETRY_DELAY)).await;
            }
            Err(status) => return Err(status.into()),
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
