//! Traffic: customers who hold, pay, cancel, refund and walk away, and try again whatever happens meanwhile.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use api::reason_of;
use proto::{
    catalog::{Product, SeatMap},
    reservation::{Booking, CreateBookingRequest, Line},
};
use sqlx::Row as _;
use tokio::{task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{PATIENCE, World, customer, eventually, fresh_id, seat, state_of, units, when};

/// The states that bookings were acknowledged to be in, in their order.
type Acknowledged = HashMap<Uuid, Vec<&'static str>>;

/// Reasons that a customer may hear: somebody else was faster, or the time was up.
const REFUSALS: [&str; 5] =
    ["INSUFFICIENT_STOCK", "SEAT_TAKEN", "HOLD_EXPIRED", "ILLEGAL_TRANSITION", "HOLD_LIFETIME_EXCEEDED"];

/// Customers at work.
#[derive(Debug)]
pub struct Traffic {
    stop: CancellationToken,
    answered: Arc<AtomicU64>,
    customers: JoinSet<Acknowledged>,
}

impl Traffic {
    /// Lets so many customers loose on a few scarce goods of their own.
    pub async fn start(world: &World, customers: u64) -> Self {
        let goods = Goods {
            products: [
                world.product(20, Duration::from_millis(400)).await,
                world.product(60, Duration::from_millis(900)).await,
                world.product(1_000_000, Duration::from_millis(1_500)).await,
            ],
            map: world.seat_map(&LABELS, Duration::from_millis(700)).await,
        };
        let (stop, answered) = (CancellationToken::new(), Arc::new(AtomicU64::new(0)));
        let mut set = JoinSet::new();
        for seed in 1..=customers {
            let customer = Customer {
                world: world.clone(),
                goods: goods.clone(),
                dice: Dice(seed),
                answered: Arc::clone(&answered),
                acknowledged: Acknowledged::new(),
            };
            set.spawn(customer.work(stop.clone()));
        }
        Self { stop, answered, customers: set }
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

    /// Sends the customers home, and checks that everything that was acknowledged is on record.
    pub async fn finish(mut self, world: &World) {
        self.stop.cancel();
        let mut acknowledged = Acknowledged::new();
        while let Some(customer) = self.customers.join_next().await {
            acknowledged.extend(customer.expect("a customer heard nothing that may not be said"));
        }
        let ids: Vec<Uuid> = acknowledged.keys().copied().collect();
        let rows = sqlx::query(
            "select booking_id, array_agg(to_state order by sequence) as path
             from booking_history where booking_id = any($1) group by booking_id",
        )
        .bind(&ids)
        .fetch_all(&mut world.reservation_database().await)
        .await
        .expect("the history can be read");
        let paths: HashMap<Uuid, Vec<String>> =
            rows.iter().map(|row| (row.get("booking_id"), row.get("path"))).collect();
        for (id, states) in acknowledged {
            let path = paths.get(&id).unwrap_or_else(|| panic!("booking {id} is lost; it was {states:?}"));
            let mut steps = path.iter();
            let kept = states.iter().all(|state| steps.by_ref().any(|step| step == state));
            assert!(kept, "booking {id} was acknowledged as {states:?}; its history is {path:?}");
        }
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
    world: World,
    goods: Goods,
    dice: Dice,
    answered: Arc<AtomicU64>,
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
        match self.dice.roll(6) {
            0 => {}
            1 => drop(self.insist(&id, &Step::Cancel).await),
            2 => drop(self.insist(&id, &Step::Extend).await),
            3 => {
                self.insist(&id, &Step::StartPayment).await;
                let success = self.dice.roll(2) == 0;
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
            if self.dice.roll(2) == 0 {
                lines.push(units(product, i64::try_from(self.dice.roll(3)).expect("it is small") + 1));
            }
        }
        if lines.is_empty() || self.dice.roll(3) == 0 {
            let label = LABELS[usize::try_from(self.dice.roll(6)).expect("it is small")];
            lines.push(seat(&self.goods.map, label));
        }
        lines
    }

    /// Makes a call until it has an answer. True if that is a success.
    async fn insist(&mut self, id: &str, step: &Step) -> bool {
        loop {
            match step.take(&self.world, id).await {
                Ok(booking) => {
                    let id = Uuid::try_parse(&booking.booking_id).expect("a booking's id is a UUID");
                    self.acknowledged.entry(id).or_default().push(state_of(&booking));
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
                Err(status) if passes(&status) => sleep(Duration::from_millis(50)).await,
                Err(status) => {
                    let reason = reason_of(&status);
                    assert!(REFUSALS.contains(&&*reason), "a customer was told {status:?}");
                    self.answered.fetch_add(1, Ordering::Relaxed);
                    return false;
                }
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

/// Whether trying again is the thing to do: what the call did, if anything, is unknown.
fn passes(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => true,
        // How tonic's client reports a connection that broke, and its own timeout.
        Code::Cancelled | Code::Unknown => reason_of(status).is_empty(),
        _ => false,
    }
}

/// Dice that fall the same way each time (Knuth's linear congruential generator).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}
