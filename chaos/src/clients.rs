//! The load: customers who hold, pay, cancel, extend, refund, come too late and walk away, one booking after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::{Builder, Uuid};

use crate::caller::{Caller, Subject, Tally};
use crate::goods::Goods;
use crate::history::{Answer, Call, Item, Life, Payment, State, What};
use crate::time::Clock;

/// What the clients of a run share.
#[derive(Clone, Debug)]
pub struct Market {
    /// What there is to be had.
    pub goods: Arc<Goods>,
    /// The clock of all.
    pub clock: Clock,
    /// What they count.
    pub tally: Arc<Tally>,
    /// How long they think between two calls, at most.
    pub think: Duration,
    /// What is paid for is kept from then on: goods are sold in the end.
    pub keeping: CancellationToken,
    /// No new bookings from then on.
    pub closing: CancellationToken,
    /// What is unanswered then stays unknown.
    pub over: CancellationToken,
    lives: Lives,
}

/// What clients have seen so far, of bookings that they are done with.
pub type Lives = Arc<Mutex<Vec<Life>>>;

impl Market {
    /// Opens it. What clients see goes into `lives`.
    #[must_use]
    pub fn new(goods: Goods, clock: Clock, think: Duration, lives: Lives) -> Self {
        Self {
            goods: Arc::new(goods),
            clock,
            tally: Arc::default(),
            think,
            keeping: CancellationToken::new(),
            closing: CancellationToken::new(),
            over: CancellationToken::new(),
            lives,
        }
    }

    /// Lets so many clients in. They reach the reservation service under any of the URLs.
    pub fn admit(&self, clients: u64, seed: u64, urls: &[String]) -> anyhow::Result<JoinSet<()>> {
        let mut set = JoinSet::new();
        for number in 0..clients {
            let client = Client {
                market: self.clone(),
                caller: Caller::new(urls, self.clock, self.over.clone())?,
                dice: StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(number)),
                name: format!("client-{number}"),
            };
            set.spawn(client.work());
        }
        Ok(set)
    }
}

struct Client {
    market: Market,
    caller: Caller,
    dice: StdRng,
    name: String,
}

/// A booking in the hands of its customer.
struct Booking {
    life: Life,
    lines: Vec<proto::reservation::Line>,
    hold_ttl_ms: Option<u64>,
    payment: Uuid,
    refund: Uuid,
    lives: Lives,
}

impl Drop for Booking {
    /// Hands over what was seen, also when the run breaks off.
    fn drop(&mut self) {
        let (items, calls) = (std::mem::take(&mut self.life.items), std::mem::take(&mut self.life.calls));
        let life = Life { id: self.life.id, items, calls };
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).push(life);
    }
}

impl Client {
    async fn work(mut self) {
        while !self.market.closing.is_cancelled() {
            self.book().await;
        }
    }

    /// One booking, from its beginning to where the dice lead it.
    async fn book(&mut self) {
        let mut booking = self.begin();
        let drafted = self.dice.random_ratio(1, 5);
        let mut held = self.act(&mut booking, What::Create { hold: !drafted }).await;
        if held && drafted {
            match self.dice.random_range(0..10) {
                // Abandoned.
                0 => return,
                1 => {
                    self.act(&mut booking, What::Cancel).await;
                    return;
                }
                _ => held = self.act(&mut booking, What::Hold).await,
            }
        }
        if held {
            self.go_on(&mut booking).await;
            self.give_back(&mut booking).await;
        }
    }

    fn begin(&mut self) -> Booking {
        let items: Vec<Item> = self.market.goods.pick(&mut self.dice);
        let lines = self.market.goods.lines(&items);
        let hold_ttl_ms = self.dice.random_ratio(1, 3).then(|| self.dice.random_range(300..2_500));
        let life = Life { id: self.id(), items, calls: Vec::new() };
        Booking {
            life,
            lines,
            hold_ttl_ms,
            payment: self.id(),
            refund: self.id(),
            lives: Arc::clone(&self.market.lives),
        }
    }

    fn id(&mut self) -> Uuid {
        Builder::from_random_bytes(self.dice.random()).into_uuid()
    }

    /// What becomes of a booking that is held.
    async fn go_on(&mut self, booking: &mut Booking) {
        let payment = Payment { id: booking.payment, success: true };
        match self.dice.random_range(0..100) {
            // Walks away.
            0..20 => {}
            20..28 => drop(self.act(booking, What::Cancel).await),
            28..38 => {
                let by_ms = self.dice.random_range(100..2_500);
                self.act(booking, What::Extend { by_ms }).await;
                if self.dice.random_ratio(1, 2) {
                    self.act(booking, What::Pay(payment)).await;
                }
            }
            38..48 => {
                self.act(booking, What::Start).await;
                let failed = Payment { id: self.id(), success: false };
                self.act(booking, What::Complete(failed)).await;
                self.act(booking, What::Pay(payment)).await;
            }
            48..56 => {
                self.act(booking, What::Start).await;
                self.act(booking, What::Complete(payment)).await;
            }
            // Walks away from the till.
            56..61 => drop(self.act(booking, What::Start).await),
            61..69 => self.pay_late(booking, payment).await,
            69..75 => self.race(booking, What::Pay(payment), What::Cancel).await,
            75..80 => {
                let other = Payment { id: self.id(), success: true };
                self.race(booking, What::Pay(payment), What::Pay(other)).await;
            }
            _ => drop(self.act(booking, What::Pay(payment)).await),
        }
    }

    /// Pays when the time is about up.
    async fn pay_late(&mut self, booking: &mut Booking, payment: Payment) {
        let deadline =
            booking.life.calls.iter().filter_map(Call::seen).filter_map(|seen| seen.deadline).max();
        let left = deadline.map_or(Duration::ZERO, |deadline| deadline.since(self.market.clock.now()));
        let around = Duration::from_millis(self.dice.random_range(0..300));
        sleep((left + around).saturating_sub(Duration::from_millis(100))).await;
        self.act(booking, What::Pay(payment)).await;
        if self.dice.random_ratio(1, 3) {
            self.act(booking, What::Get).await;
        }
    }

    /// Pays back what was, or may have been, paid for: goods are scarce, and others want them, too.
    async fn give_back(&mut self, booking: &mut Booking) {
        let paid = booking.life.calls.iter().any(|call| {
            call.what.payment().is_some_and(|payment| payment.success) && call.may_have_acted()
                || call.seen().is_some_and(|seen| seen.state == State::Confirmed)
        });
        if paid
            && !self.market.keeping.is_cancelled()
            && (self.market.goods.is_scarce(&booking.life.items) || self.dice.random_ratio(1, 2))
        {
            self.think(4).await;
            let refund = What::Refund(booking.refund);
            if self.dice.random_ratio(1, 20) {
                let other = What::Refund(self.id());
                self.race(booking, refund, other).await;
            } else {
                let dice = self.fork();
                let call =
                    self.caller.insist(dice, self.subject(booking), refund, u32::MAX, &self.market.tally);
                let call = call.await;
                booking.life.calls.push(call);
            }
        }
    }

    /// Calls, and now and then once more for good measure. True if the answer is a success.
    async fn act(&mut self, booking: &mut Booking, what: What) -> bool {
        self.think(1).await;
        let repeats = if self.dice.random_ratio(1, 10) { 2 } else { 1 };
        let mut success = false;
        for _ in 0..repeats {
            // Now and then a customer gives up at once.
            let patience = if self.dice.random_ratio(1, 15) { 1 } else { u32::MAX };
            let dice = self.fork();
            let call =
                self.caller.insist(dice, self.subject(booking), what, patience, &self.market.tally).await;
            success = matches!(call.answer, Answer::Booking(_));
            booking.life.calls.push(call);
        }
        success
    }

    /// Makes two calls at the same time.
    async fn race(&mut self, booking: &mut Booking, one: What, other: What) {
        self.think(1).await;
        let (left, right) = (self.fork(), self.fork());
        let (subject, tally) = (self.subject(booking), &self.market.tally);
        let both = tokio::join!(
            self.caller.insist(left, subject, one, u32::MAX, tally),
            self.caller.insist(right, subject, other, u32::MAX, tally),
        );
        booking.life.calls.extend([both.0, both.1]);
    }

    fn subject<'a>(&'a self, booking: &'a Booking) -> Subject<'a> {
        Subject {
            id: booking.life.id,
            customer: &self.name,
            lines: &booking.lines,
            hold_ttl_ms: booking.hold_ttl_ms,
        }
    }

    async fn think(&mut self, times: u32) {
        let longest = self.market.think * times;
        if !longest.is_zero() {
            let thought = self.dice.random_range(Duration::ZERO..=longest);
            tokio::select! {
                () = sleep(thought) => {}
                () = self.market.over.cancelled() => {}
            }
        }
    }

    fn fork(&mut self) -> StdRng {
        StdRng::seed_from_u64(self.dice.random())
    }
}
