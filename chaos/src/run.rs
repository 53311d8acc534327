//! A run from beginning to end: start, load, faults, healing, proof.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use futures::FutureExt as _;
use rand::random;
use stack::ServiceKind;
use system_tests::World;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::audits::{self, Auditor};
use crate::books::{self, Books};
use crate::checker::{self, Evidence, Rule, Violation};
use crate::clients::{Lives, Market};
use crate::conductor::Conductor;
use crate::evidence;
use crate::goods::Goods;
use crate::history::Life;
use crate::judge::judge;
use crate::lag::Lags;
use crate::onlookers::{Onlooker, Sights};
use crate::options::Options;
use crate::plan;
use crate::refunds;
use crate::report::{Report, millis};
use crate::site::Site;
use crate::time::{Clock, Time};

/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(5);
/// How long everything may take to be ready, once it is mended.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How long clients may take for what they have begun, once everything is ready.
const CLOSING_LIMIT: Duration = Duration::from_secs(30);
/// How long clients go on after that: holds run out while nothing is broken, nor will be.
const LAST_CALM: Duration = Duration::from_secs(10);
/// How long it may take until nothing is left to be done, after that.
const QUIET_LIMIT: Duration = Duration::from_mins(2);
/// By how much the clients' clock and the databases' may always differ.
const TOLERANCE: Duration = Duration::from_millis(10);

/// Runs it all; ends early, but in order, when `stop` is cancelled.
pub async fn run(options: &Options, stop: CancellationToken) -> Result<Report> {
    let seed = options.seed.unwrap_or_else(random);
    println!("seed {seed}");
    let cluster = options.cluster;
    let progress = |part: &str, took: Duration| println!("{part} ({:.1} s)", took.as_secs_f64());
    let site = spawn_blocking(move || Site::start(cluster, progress));
    let site = Arc::new(site.await??);
    let (clock, lives) = (Clock::start(), Lives::default());
    let conductor = Conductor::new(Arc::clone(&site), clock);
    let running = Run { options, seed, site: &site, clock, conductor: &conductor, lives: &lives };
    let done = AssertUnwindSafe(running.to_the_end(stop)).catch_unwind().await;
    let report = done.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(anyhow!("the run panicked: {}", text.unwrap_or_default()))
    });
    if let Err(error) = &report {
        println!("the run cannot go on: {error:#}");
        let lives = std::mem::take(&mut *lives.lock().unwrap_or_else(PoisonError::into_inner));
        evidence::keep_all(options, seed, &site, error, &lives, &conductor.happened())?;
    }
    report
}

/// A run: what is there from its beginning, and is to be kept whatever becomes of it.
struct Run<'a> {
    options: &'a Options,
    seed: u64,
    site: &'a Arc<Site>,
    clock: Clock,
    conductor: &'a Conductor,
    lives: &'a Lives,
}

impl Run<'_> {
    async fn to_the_end(&self, stop: CancellationToken) -> Result<Report> {
        let Self { options, seed, site, clock, conductor, lives } = *self;
        let world = World::of(site.stack());
        let goods = Goods::create(&world).await;
        refunds::keep(&site.stack().rabbitmq().url()).await?;
        let market = Market::new(goods, clock, Duration::from_millis(options.think_ms), Arc::clone(lives));
        let planned = plan::plan(seed, options.duration, site.shape());
        println!("{} faults are planned in {} s", planned.len(), options.duration.as_secs());

        let mut clients = market.admit(options.clients, seed, &site.urls(ServiceKind::Reservation))?;
        let onlookers = site.urls(ServiceKind::Catalog);
        let onlookers = onlookers
            .iter()
            .map(|url| Onlooker::start(url, Arc::clone(&market.goods), market.closing.clone()))
            .collect::<Result<Vec<_>>>()?;
        let auditor_stop = CancellationToken::new();
        let auditor = Auditor::start(world.audit_options(), conductor.clone(), auditor_stop.clone());
        let watching = tokio::spawn(conductor.clone().watch());
        let telling = tokio::spawn(tell(market.clone(), conductor.clone()));

        let started = Instant::now();
        let breaking = tokio::spawn({
            let conductor = conductor.clone();
            async move { conductor.conduct(&planned).await }
        });
        tokio::select! {
            () = sleep(options.duration) => {}
            () = stop.cancelled() => println!("stopping early"),
            // With the error that says why, and everything as it is.
            () = conductor.failed() => return breaking.await?.and_then(|()| bail!("the faults ended early")),
        }
        conductor.calm();
        breaking.await??;
        watching.await??;
        let took = started.elapsed();
        println!("everything is mended");
        let ready = Arc::clone(site);
        spawn_blocking(move || ready.await_ready(READY_LIMIT)).await??;
        println!("a last calm of {} s", LAST_CALM.as_secs());
        market.keeping.cancel();
        sleep(LAST_CALM).await;
        let end = clock.now();
        let cut_off = send_home(&market, &mut clients).await?;
        telling.abort();
        auditor_stop.cancel();
        let audits = auditor.ask().await?;

        let mut sights = Sights::default();
        for onlooker in onlookers {
            let Sights { reads, violations } = onlooker.ask().await?;
            sights.reads += reads;
            sights.violations.extend(violations);
        }
        sights.violations.extend(audits.violations());
        let report = Report {
            seed,
            audits: audits.done,
            audits_in_calm: audits.in_calm,
            audits_given_up: audits.given_up,
            seconds: took.as_secs(),
            clients: options.clients,
            unknown_attempts: market.tally.unknown_attempts.load(Ordering::Relaxed),
            reads: sights.reads,
            violations: sights.violations,
            ..Report::default()
        };
        // Of the primary that is one now.
        let world = World::of(site.stack());
        let proof = Proof { site, world: &world, market: &market, conductor, end, cut_off };
        let lives = std::mem::take(&mut *lives.lock().unwrap_or_else(PoisonError::into_inner));
        evidence::keep_seen(options, seed, &lives, &conductor.happened())?;
        let report = proof.complete(report, &lives).await?;
        evidence::keep(options, site, &report)?;
        Ok(report)
    }
}

/// Tells every few seconds how it goes.
async fn tell(market: Market, conductor: Conductor) {
    let mut ticks = interval(PROGRESS);
    let mut before = 0;
    loop {
        ticks.tick().await;
        let answered = market.tally.answered.load(Ordering::Relaxed);
        println!(
            "[{:7.1} s] {} calls answered, {} attempts unknown, {} calls/s; broken: {}",
            market.clock.elapsed().as_secs_f64(),
            answered,
            market.tally.unknown_attempts.load(Ordering::Relaxed),
            (answered - before) / PROGRESS.as_secs(),
            conductor.active().join(", ")
        );
        before = answered;
    }
}

/// Lets clients finish what they have begun. Those who take too long are sent away: when that was, if it was.
async fn send_home(market: &Market, clients: &mut JoinSet<()>) -> Result<Option<Time>> {
    market.closing.cancel();
    let leaving = async {
        while let Some(left) = clients.join_next().await {
            left.context("a client failed")?;
        }
        anyhow::Ok(())
    };
    if let Ok(left) = timeout(CLOSING_LIMIT, leaving).await {
        return left.map(|()| None);
    }
    let cut_off = market.clock.now();
    println!("{} clients are still busy, with everything mended", clients.len());
    market.over.cancel();
    while let Some(left) = clients.join_next().await {
        left.context("a client failed")?;
    }
    Ok(Some(cut_off))
}

/// What the proof goes by.
struct Proof<'a> {
    site: &'a Site,
    world: &'a World,
    market: &'a Market,
    conductor: &'a Conductor,
    end: Time,
    cut_off: Option<Time>,
}

impl Proof<'_> {
    /// Waits until all is quiet; then checks everything.
    async fn complete(&self, mut report: Report, lives: &[Life]) -> Result<Report> {
        let waiting = Instant::now();
        let left = books::await_quiet(self.world, QUIET_LIMIT).await?;
        report.settled_ms = millis(waiting.elapsed());
        println!("quiet after {} ms; checking {} bookings", report.settled_ms, lives.len());
        report.violations.extend(left.into_iter().map(|text| about(Rule::EverythingSettles, text)));
        report
            .violations
            .extend(self.world.unsettled().await.into_iter().map(|text| about(Rule::TheAuditAgrees, text)));
        let audited = audit::run(&self.world.audit_options()).await.context("audit")?;
        report.audited = audited.checked.bookings;
        report.violations.extend(audits::violations(&audited));
        report.unused_links = self.site.unused_links();
        for kind in self.conductor.in_vain() {
            *report.in_vain.entry(kind).or_default() += 1;
        }
        let books = Books::read(
            self.world,
            &self.site.stack().rabbitmq().url(),
            &self.market.goods,
            lives.iter().map(|life| life.id),
        )
        .await?;
        let drift = self.market.clock.drift();
        report.drift_ms = millis(drift);
        let on_hand: Vec<i64> = self.market.goods.products.iter().map(|product| product.on_hand).collect();
        let tolerance = TOLERANCE + drift;
        let evidence = Evidence { lives, books: &books, on_hand: &on_hand, tolerance, cut_off: self.cut_off };
        report.violations.extend(checker::check(&evidence));
        report.violations.extend(
            evidence::defects(self.site.stack())?.into_iter().map(|text| about(Rule::ServicesAreSound, text)),
        );
        let ended = self.conductor.ended().into_iter().map(|name| format!("{name} ended by itself"));
        report.violations.extend(ended.map(|text| about(Rule::ServicesAreSound, text)));
        let faults = self.conductor.happened();
        report.lag = Lags::of(&books, &faults, self.end);
        let mut report = report.count(lives, &books, &faults);
        report.violations.extend(judge(&report));
        Ok(report)
    }
}

fn about(rule: Rule, text: String) -> Violation {
    Violation { rule, booking: None, text }
}
