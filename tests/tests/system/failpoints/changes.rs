//! The steps of a change, each for every change that passes it: hold, extend, pay, cancel, refund and expire.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use failpoint::{Program, Step};
use futures::join;
use proto::{
    catalog::{Product, SeatMap},
    reservation::Line,
};
use system_tests::{Armed, Outcome, World, fresh_id, hasty, own, seat, units};

use super::{
    lives::{Client, LIMIT},
    steps::ACTIONS,
};

const ALWAYS: [Step; 2] = [Step::ChangeLocked, Step::ChangeCommitted];
const WRITTEN: [Step; 2] = [Step::ChangeUpdated, Step::ChangeChronicled];

/// A change of a booking that is asked for by a client, or made by the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Hold,
    Extend,
    StartPayment,
    Complete,
    Decline,
    Pay,
    PayLate,
    Cancel,
    Refund,
    Expire,
}

impl Change {
    const ALL: [Self; 10] = [
        Self::Hold,
        Self::Extend,
        Self::StartPayment,
        Self::Complete,
        Self::Decline,
        Self::Pay,
        Self::PayLate,
        Self::Cancel,
        Self::Refund,
        Self::Expire,
    ];

    /// The steps that it passes.
    fn steps(self) -> Vec<Step> {
        let (paid, owed) = ([Step::ChangePaid].as_slice(), [Step::ChangeOwed].as_slice());
        let more = match self {
            Self::Extend | Self::StartPayment => [WRITTEN.as_slice(), &[], &[]],
            Self::Hold | Self::Cancel | Self::Refund | Self::Expire => [WRITTEN.as_slice(), &[], owed],
            Self::Decline => [WRITTEN.as_slice(), paid, &[]],
            Self::Complete | Self::Pay => [WRITTEN.as_slice(), paid, owed],
            Self::PayLate => [&[], paid, owed],
        };
        [ALWAYS.as_slice(), &more.concat()].concat()
    }

    /// What the booking has been through when the change is made, once.
    pub(super) fn path(self) -> &'static [&'static str] {
        match self {
            Self::Hold => &["INITIATED", "HELD"],
            Self::Extend => &["HELD", "HELD"],
            Self::StartPayment => &["HELD", "PAYMENT_PENDING"],
            Self::Complete | Self::Pay => &["HELD", "PAYMENT_PENDING", "CONFIRMED"],
            Self::Decline => &["HELD", "PAYMENT_PENDING", "HELD"],
            Self::PayLate | Self::Expire => &["HELD", "EXPIRED"],
            Self::Cancel => &["HELD", "CANCELLED"],
            Self::Refund => &["HELD", "PAYMENT_PENDING", "CONFIRMED", "REFUNDED"],
        }
    }

    /// A booking that is ready for the change.
    pub(super) async fn prepare(self, client: &mut Client<'_>, goods: &Goods) -> String {
        let world = client.world;
        let product = if self == Self::PayLate { &goods.short } else { &goods.long };
        let id = client.book(&goods.unit_and_seat(product), self != Self::Hold).await;
        match self {
            Self::Complete | Self::Decline => {
                client.must(async || world.start_payment(&id).await).await;
            }
            Self::PayLate => client.outlive(&id).await,
            Self::Refund => client.must(async || world.pay(&id).await).await,
            Self::Hold | Self::Extend | Self::StartPayment | Self::Pay | Self::Cancel | Self::Expire => {}
        }
        id
    }

    /// Makes it, however often that takes. Answers the booking.
    pub(super) async fn make(self, client: &mut Client<'_>, goods: &Goods, id: String) -> String {
        let world = client.world;
        let payment = fresh_id();
        match self {
            Self::Hold => client.must(async || world.hold_draft(&id).await).await,
            Self::Extend => client.must(async || world.extend(&id, Duration::from_mins(1)).await).await,
            Self::StartPayment => client.must(async || world.start_payment(&id).await).await,
            Self::Complete => client.must(async || world.complete(&id, &payment, true).await).await,
            Self::Decline => client.must(async || world.complete(&id, &payment, false).await).await,
            Self::Pay => client.must(async || world.pay_with(&id, &payment, true).await).await,
            Self::PayLate => {
                let paid = client.may(async || world.pay_with(&id, &payment, true).await).await;
                assert!(!paid, "it had run out");
            }
            Self::Cancel => client.must(async || world.cancel(&id).await).await,
            Self::Refund => client.must(async || world.refund(&id).await).await,
            Self::Expire => {
                // Another one: the one that was prepared lives on.
                let id = client.book(&goods.unit_and_seat(&goods.short), true).await;
                client.outlive(&id).await;
                return id;
            }
        }
        id
    }
}

pub(super) fn is_walked_here(step: Step) -> bool {
    step.name().starts_with("change.")
}

#[test]
fn every_step_of_a_change_is_passed_by_some_change() {
    let passed: Vec<Step> = Change::ALL.into_iter().flat_map(Change::steps).collect();
    for step in Step::ALL.iter().copied().filter(|step| is_walked_here(*step)) {
        assert!(passed.contains(&step), "{}", step.name());
    }
}

/// What there is to be had.
pub(super) struct Goods {
    long: Product,
    short: Product,
    map: SeatMap,
    taken: AtomicUsize,
}

/// How many seats there are.
const SEATS: usize = 200;

impl Goods {
    pub(super) async fn new(world: &World) -> Self {
        let labels: Vec<String> = (0..SEATS).map(|n| n.to_string()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        Self {
            long: world.limited_product(1_000_000, Duration::from_mins(5), LIMIT).await,
            short: world.limited_product(1_000_000, Duration::from_millis(200), LIMIT).await,
            map: world.limited_seat_map(&labels, Duration::from_mins(5), LIMIT).await,
            taken: AtomicUsize::new(0),
        }
    }

    /// A unit, for as long as its holds last, and a seat that nobody has had.
    fn unit_and_seat(&self, product: &Product) -> [Line; 2] {
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        assert!(number < SEATS, "{SEATS} seats were not enough");
        [units(product, 1), seat(&self.map, &number.to_string())]
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_a_change_dies_or_fails_it_is_made_once() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let goods = Goods::new(&world).await;
    for change in Change::ALL {
        for step in change.steps() {
            for action in ACTIONS {
                eprintln!("{change:?}: {} {action}", step.name());
                let mut client = Client::new(&world);
                let id = change.prepare(&mut client, &goods).await;
                world.assert_settles().await;
                let armed = Armed::start(&stack, Program::Reservation, step, action).await;
                let (id, ()) = join!(change.make(&mut client, &goods, id), armed.revived());
                assert_eq!(world.record(&id).await.path(), change.path(), "{change:?}");
                world.assert_settles().await;
                client.told.assert_kept(&world).await;
            }
        }
    }
    stack.assert_sound();
    Ok(())
}
