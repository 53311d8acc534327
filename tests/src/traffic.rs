//! Traffic: customers who hold, pay, cancel, refund and walk away, and try again whatever happens meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use api::{reason_of, retry_delay_of};
use proto::{
    catalog::{Product, SeatMap},
    reservation::{Booking, CreateBookingRequest, Line},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::{Acknowledged, Dice, PATIENCE, World, customer, eventually, fresh_id, passes, seat, units, when};

/// Reasons that a customer may hear: somebody else was faster, or the time was up.
const REFUSALS: [&str; 5] =
    ["INSUFFICIENT_STOCK", "SEAT_TAKEN", "HOLD_EXPIRED", "ILLEGAL_TRANSITION", "HOLD_LIFETIME_EXCEEDED"];

/// How often a customer of several replicas makes a call at most.
const TRIES: u32 = 5;
/// How long customers wait before the second try. Those who do not try for ever wait twice as long each time, and no less than
/// they were told.
const FIRST_DELAY: Duration = Duration::from_millis(50);

/// Customers at work.
#[derive(Debug)]
pub struct Traffic {
    stop: CancellationToken,
    answered: Arc<AtomicU64>,
    retries: Arc<AtomicU64>,
    customers: JoinSet<Acknowledged>,
}

impl Traffic {
    /// Lets so many customers loose on a few scarce goods of their own. They try a call again for as long as it takes.
    pub async fn start(world: &World, customers: u64) -> Self {
        Self::of(std::slice::from_ref(world), customers, None).await
    }

    /// The same, over several replicas: whoever has to try a call again tries the next one, and gives up, which fails
    /// [`Self::finish`], after 5 tries.
    pub async fn start_over(worlds: &[World], customers: u64) -> Self {
        Self::of(worlds, customers, Some(TRIES)).await
    }

    async fn of(worlds: &[World], customers: u64, tries: Option<u32>) -> Self {
        let world = &worlds[0];
        let goods = Goods {
            products: [
                world.product(20, Duration::from_millis(400)).await,
                world.product(60, Duration::from_millis(900)).await,
                world.product(1_000_000, Duration::from_millis(1_500)).await,
            ],
            map: world.seat_map(&LABELS, Duration::from_millis(700)).await,
        };
        let (stop, answered, retries) = (CancellationToken::new(), Arc::default(), Arc::default());
        let mut set = JoinSet::new();
        for seed in 1..=customers {
            let customer = Customer {
                worlds: worlds.to_vec(),
                tries,
                at: usize::try_from(seed).unwrap_or_default() % worlds.len(),
                goods: goods.clone(),
                dice: Dice::new(0, seed),
                answered: Arc::clone(&answered),
                retries: Arc::clone(&retries),
                acknowledged: Acknowledged::default(),
            };
            set.spawn(customer.work(stop.clone()));
        }
        Self { stop, answered, retries, customers: set }
    }

    /// Waits until the customers have had many more answers.
    pub async fn await_progress(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        eventually("customers are served", PATIENCE, async || {
            let answered = self.answered.load(Ordering::Relaxed);
            when(answered >= before + 100, answered - before)
        })
        .await;
    }

    /// Sends the customers home, as soon as each has an answer to the last call, and checks that everything that was acknowledged
    /// is on record. Answers how often a call had to be tried again.
    pub async fn finish(mut self, world: &World) -> u64 {
        self.stop.cancel();
        let mut acknowledged = Acknowledged::default();
        let home = async {
            while let Some(customer) = self.customers.join_next().await {
                acknowledged.extend(customer.expect("a customer heard nothing that may not be said"));
            }
        };
        timeout(PATIENCE, home).await.expect("each customer is answered");
        acknowledged.assert_kept(world).await;
        self.retries.load(Ordering::Relaxed)
    }
}

const LABELS: [&str; 6] = ["1A", "1B", "1C", "2A", "2B", "2C"];

/// What there is to be had.
#[derive(Clone, Debug)]
struct Goods {
    products: [Product; 3],
    map: SeatMap,
}

/// One customer.
struct Customer {
    worlds: Vec<World>,
    /// How often a call is made at most; none: for as long as it takes.
    tries: Option<u32>,
    at: usize,
    goods: Goods,
    dice: Dice,
    answered: Arc<AtomicU64>,
    retries: Arc<AtomicU64>,
    acknowledged: Acknowledged,
}

impl Customer {
    async fn work(mut self, stop: CancellationToken) -> Acknowledged {
        while !stop.is_cancelled() {
            self.book().await;
        }
        self.acknowledged
    }

    /// One booking, from its hold to where the dice lead it.
    async fn book(&mut self) {
        let id = fresh_id();
        let request = CreateBookingRequest {
            booking_id: id.clone(),
            customer_id: customer(),
            lines: self.lines(),
            hold: true,
            hold_ttl: None,
        };
        if !self.insist(&id, &Step::Create(request)).await {
            return;
        }
        let payment = fresh_id();
        match self.dice.below(6) {
            0 => {}
            1 => drop(self.insist(&id, &Step::Cancel).await),
            2 => drop(self.insist(&id, &Step::Extend).await),
            3 => {
                self.insist(&id, &Step::StartPayment).await;
                let success = self.dice.below(2) == 0;
                self.insist(&id, &Step::CompletePayment { payment, success }).await;
                // Goods are scarce: none are kept for good.
                if !self.insist(&id, &Step::Cancel).await {
                    self.insist(&id, &Step::Refund).await;
                }
            }
            _ => {
                self.insist(&id, &Step::Pay { payment }).await;
                self.insist(&id, &Step::Refund).await;
            }
        }
    }

    fn lines(&mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        for product in &self.goods.products {
            if self.dice.below(2) == 0 {
                lines.push(units(product, i64::try_from(self.dice.below(3)).expect("it is small") + 1));
            }
        }
        if lines.is_empty() || self.dice.below(3) == 0 {
            lines.push(seat(&self.goods.map, self.dice.word(&LABELS)));
        }
        lines
    }

    /// How long to wait after so many tries, the last of which failed like this.
    fn delay(&self, tried: u32, status: &Status) -> Duration {
        if self.tries.is_none() {
            return FIRST_DELAY;
        }
        retry_delay_of(status).unwrap_or_default().max(FIRST_DELAY * 2_u32.pow(tried - 1))
    }

    /// Makes a call until it has an answer. True if that is a success.
    async fn insist(&mut self, id: &str, step: &Step) -> bool {
        let mut tried = 0;
        let answer = loop {
            tried += 1;
            match step.take(&self.worlds[self.at], id).await {
                Err(status) if passes(&status) => {
                    assert!(self.tries.is_none_or(|most| tried < most), "{tried} tries failed: {status:?}");
                    self.retries.fetch_add(1, Ordering::Relaxed);
                    self.at = (self.at + 1) % self.worlds.len();
                    sleep(self.delay(tried, &status)).await;
                }
                answer => break answer,
            }
        };
        self.answered.fetch_add(1, Ordering::Relaxed);
        match answer {
            Ok(booking) => {
                self.acknowledged.note(&booking);
                true
            }
            Err(status) => {
                let reason = reason_of(&status);
                assert!(REFUSALS.contains(&&*reason), "a customer was told {status:?}");
                false
            }
        }
    }
}

/// One call.
enum Step {
    Create(CreateBookingRequest),
    Extend,
    StartPayment,
    CompletePayment { payment: String, success: bool },
    Pay { payment: String },
    Cancel,
    Refund,
}

impl Step {
    async fn take(&self, world: &World, id: &str) -> Result<Booking, Status> {
        match self {
            Self::Create(request) => world.create(request.clone()).await,
            Self::Extend => world.extend(id, Duration::from_millis(500)).await,
            Self::StartPayment => world.start_payment(id).await,
            Self::CompletePayment { payment, success } => world.complete(id, payment, *success).await,
            Self::Pay { payment } => world.pay_with(id, payment, true).await,
            Self::Cancel => world.cancel(id).await,
            Self::Refund => world.refund(id).await,
        }
    }
}
