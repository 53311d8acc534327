//! Customers who hold units: in closed loops, each waiting for an answer before the next call, or at a rate.

#![expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]

use std::{
    collections::BTreeMap,
    error::Error as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::{
    catalog::Product,
    reservation::{CreateBookingRequest, Line},
};
use system_tests::{World, fresh_id, units};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval},
};
use tonic::{Code, Request, Status};

/// What a customer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Calls that the generator has under way at most: it must not be what breaks down.
const MAX_UNDER_WAY: usize = 20_000;
/// How often calls are sent, as many as the rate asks for.
const TICK: Duration = Duration::from_millis(2);

/// Calls to make.
#[derive(Clone)]
pub(crate) struct Calls {
    worlds: Arc<[World]>,
    lines: Arc<[Vec<Line>]>,
    next: Arc<AtomicUsize>,
}

impl Calls {
    /// Bookings of so many lines, which begin with one product after the other.
    pub(crate) fn new(worlds: Vec<World>, products: &[Product], lines: usize) -> Self {
        let of = |first: usize| {
            let products = products.iter().cycle().skip(first).take(lines);
            products.map(|product| units(product, 1)).collect()
        };
        let lines = (0..products.len()).map(of).collect();
        Self { worlds: worlds.into(), lines, next: Arc::default() }
    }

    /// Holds one unit for each line over the next connection: the code, and how long it took.
    async fn call(&self) -> (Code, Duration) {
        let n = self.next.fetch_add(1, Ordering::Relaxed);
        let mut request = Request::new(CreateBookingRequest {
            booking_id: fresh_id(),
            customer_id: format!("customer-{}", n % 10_000),
            lines: self.lines[n % self.lines.len()].clone(),
            hold: true,
            hold_ttl: None,
        });
        request.set_timeout(PATIENCE);
        let mut bookings = self.worlds[n % self.worlds.len()].bookings.clone();
        let start = Instant::now();
        let answer = bookings.create_booking(request).await;
        (answer.map_or_else(|status| code(&status), |_| Code::Ok), start.elapsed())
    }
}

/// What the caller was told: UNAVAILABLE if nobody answered. A connection on which a thousand calls ran out of time is given up
/// by the client's HTTP/2 (h2, `max_local_error_reset_streams`), and tonic calls that UNKNOWN.
fn code(status: &Status) -> Code {
    match status.code() {
        Code::Unknown if status.source().is_some() => Code::Unavailable,
        code => code,
    }
}

/// So many customers, each calling again when it has an answer.
pub(crate) async fn closed_loop(calls: &Calls, customers: usize, time: Duration) -> Tally {
    let start = Instant::now();
    let mut set = JoinSet::new();
    for _ in 0..customers {
        let calls = calls.clone();
        set.spawn(async move {
            let mut tally = Tally::default();
            while start.elapsed() < time {
                tally.add(calls.call().await);
            }
            tally
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = set.join_next().await {
        all.merge(tally.expect("no customer panics"));
    }
    all.took = start.elapsed();
    all
}

/// Calls at a rate, whatever becomes of them.
pub(crate) async fn open_loop(calls: &Calls, rate: f64, time: Duration) -> Tally {
    let (start, all, under_way) =
        (Instant::now(), Arc::new(Mutex::new(Tally::default())), Arc::new(AtomicUsize::new(0)));
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut sent, mut left_out) = (0_u64, 0_u64);
    while start.elapsed() < time {
        ticks.tick().await;
        let due = start.elapsed().as_secs_f64() * rate;
        while ((sent + left_out) as f64) < due {
            if under_way.load(Ordering::Relaxed) >= MAX_UNDER_WAY {
                left_out += 1;
                continue;
            }
            sent += 1;
            under_way.fetch_add(1, Ordering::Relaxed);
            let (calls, all, under_way) = (calls.clone(), Arc::clone(&all), Arc::clone(&under_way));
            tokio::spawn(async move {
                let answer = calls.call().await;
                all.lock().unwrap_or_else(PoisonError::into_inner).add(answer);
                under_way.fetch_sub(1, Ordering::Relaxed);
            });
        }
    }
    let took = start.elapsed();
    while under_way.load(Ordering::Relaxed) > 0 {
        ticks.tick().await;
    }
    let mut tally = std::mem::take(&mut *all.lock().unwrap_or_else(PoisonError::into_inner));
    tally.took = took;
    tally
}

/// Answers by their code, each with its time in microseconds.
#[derive(Default)]
pub(crate) struct Tally {
    micros: BTreeMap<i32, Vec<u32>>,
    took: Duration,
}

impl Tally {
    fn add(&mut self, (code, time): (Code, Duration)) {
        self.micros.entry(code.into()).or_default().push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    fn merge(&mut self, other: Self) {
        for (code, micros) in other.micros {
            self.micros.entry(code).or_default().extend(micros);
        }
    }

    fn count(&self, code: Code) -> usize {
        self.micros.get(&code.into()).map_or(0, Vec::len)
    }

    /// Bookings held, each second.
    pub(crate) fn goodput(&self) -> f64 {
        self.count(Code::Ok) as f64 / self.took.as_secs_f64()
    }

    /// Calls made, each second.
    pub(crate) fn sent_rate(&self) -> f64 {
        self.micros.values().map(Vec::len).sum::<usize>() as f64 / self.took.as_secs_f64()
    }

    /// How often each code was answered.
    pub(crate) fn summary(&self) -> String {
        let codes =
            self.micros.iter().map(|(code, all)| format!("{:?} {}", Code::from_i32(*code), all.len()));
        format!("{:.0} bookings/s ({})", self.goodput(), codes.collect::<Vec<_>>().join(", "))
    }

    pub(crate) fn accepted(&self) -> String {
        self.times(Code::Ok)
    }

    pub(crate) fn refused(&self) -> String {
        self.times(Code::ResourceExhausted)
    }

    /// How many calls had an answer that nobody should get.
    pub(crate) fn defects(&self) -> usize {
        let fine =
            [Code::Ok, Code::ResourceExhausted, Code::Cancelled, Code::DeadlineExceeded].map(i32::from);
        self.micros.iter().filter(|(code, _)| !fine.contains(code)).map(|(_, all)| all.len()).sum()
    }

    /// The part of the calls that had no answer in time.
    pub(crate) fn timed_out(&self) -> f64 {
        let late = [Code::Cancelled, Code::DeadlineExceeded, Code::Unavailable].map(|code| self.count(code));
        let late: usize = late.iter().sum();
        late as f64 / self.micros.values().map(Vec::len).sum::<usize>().max(1) as f64
    }

    /// How long 99 of 100 refusals took at most.
    pub(crate) fn slowest_refusals(&self) -> Duration {
        self.percentile(Code::ResourceExhausted, 99)
    }

    fn times(&self, code: Code) -> String {
        let millis = |percent| self.percentile(code, percent).as_secs_f64() * 1_000.0;
        format!("{} answers, p50 {:.1} ms, p99 {:.1} ms", self.count(code), millis(50), millis(99))
    }

    fn percentile(&self, code: Code, percent: usize) -> Duration {
        let mut sorted = self.micros.get(&code.into()).cloned().unwrap_or_default();
        sorted.sort_unstable();
        let micros = sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)));
        Duration::from_micros(micros.copied().unwrap_or_default().into())
    }
}
