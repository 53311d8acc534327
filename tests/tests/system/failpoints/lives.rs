//! The ways that a booking can go, many at the same time, with a client that tries again whatever happens meanwhile.

use std::time::Duration;

use api::{metadata_of, reason_of};
use futures::join;
use proto::{
    catalog::{HoldKey, HoldLine, PlaceHold, PlaceHoldsRequest, Product, ProductItem, SeatMap, hold_line},
    reservation::{Booking, BookingState, CreateBookingRequest, Line},
};
use system_tests::{
    Acknowledged, PATIENCE, World, customer, eventually, fresh_id, insist, seat, units, when,
};
use tonic::Status;

/// A hold that is to be paid or given back long before it runs out: no timer of it disturbs what comes later.
const LONG: Duration = Duration::from_mins(5);
/// A hold of a draft. One that a crash leaves to a draft which has run out meanwhile stands until then.
const MIDDLING: Duration = Duration::from_secs(2);
/// A hold that is to run out.
const SHORT: Duration = Duration::from_millis(400);
/// Longer than an expirer keeps a timer in hand: one that finds its hold extended so far is parked again.
const EXTENSION: Duration = Duration::from_millis(1_700);
/// What one customer may have: counted, and never too little.
pub(super) const LIMIT: i64 = 1_000;
/// How often bookings can live on the same goods.
const LIVES: usize = 10;

/// What there is to be had.
pub(super) struct Goods {
    long: Product,
    middling: Product,
    short: Product,
    map: SeatMap,
}

impl Goods {
    pub(super) async fn new(world: &World) -> Self {
        let labels: Vec<String> = (0..2 * LIVES).map(|n| n.to_string()).collect();
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        Self {
            long: world.limited_product(1_000_000, LONG, LIMIT).await,
            middling: world.limited_product(1_000_000, MIDDLING, LIMIT).await,
            short: world.product(1_000_000, SHORT).await,
            map: world.limited_seat_map(&labels, LONG, LIMIT).await,
        }
    }

    /// Units, and a seat that nobody has had.
    fn units_and_seat(&self, quantity: i64, number: usize) -> [Line; 2] {
        [units(&self.long, quantity), seat(&self.map, &number.to_string())]
    }
}

/// A client, and what it was told.
pub(super) struct Client<'a> {
    pub(super) world: &'a World,
    pub(super) told: Acknowledged,
}

impl<'a> Client<'a> {
    pub(super) fn new(world: &'a World) -> Self {
        Self { world, told: Acknowledged::default() }
    }

    /// Makes a call until it succeeds.
    pub(super) async fn must(&mut self, call: impl AsyncFnMut() -> Result<Booking, Status>) {
        let booking = insist(call).await.expect("nobody else has it, and there is time");
        self.told.note(&booking);
    }

    /// Makes a call until it succeeds or is too late. Whether it succeeded.
    pub(super) async fn may(&mut self, call: impl AsyncFnMut() -> Result<Booking, Status>) -> bool {
        match insist(call).await {
            Ok(booking) => {
                self.told.note(&booking);
                true
            }
            Err(status) => {
                let from = metadata_of(&status).remove("from");
                let late = reason_of(&status) == "HOLD_EXPIRED" || from.as_deref() == Some("EXPIRED");
                assert!(late, "{status:?}");
                false
            }
        }
    }

    /// A new booking of these lines, and its id.
    pub(super) async fn book(&mut self, lines: &[Line], hold: bool) -> String {
        let request = CreateBookingRequest {
            booking_id: fresh_id(),
            customer_id: customer(),
            lines: lines.to_vec(),
            hold,
            hold_ttl: None,
        };
        let world = self.world;
        self.may(async || world.create(request.clone()).await).await;
        request.booking_id
    }

    /// Waits until a booking has run out.
    pub(super) async fn outlive(&self, id: &str) {
        eventually("the booking runs out", PATIENCE, async || {
            let booking = insist(async || self.world.get(id).await).await.expect("the booking is there");
            when(booking.state() == BookingState::Expired, booking)
        })
        .await;
    }
}

/// Lets every kind of booking live, for the `n`th time on these goods. What clients were told of them.
pub(super) async fn live(world: &World, goods: &Goods, n: usize) -> Acknowledged {
    let (mut told, forgotten, ()) =
        join!(live_unswept(world, goods, n), forgotten(world, goods), orphaned(world, goods));
    told.extend(forgotten);
    told
}

/// The same, but for those whose end is the sweep's business.
pub(super) async fn live_unswept(world: &World, goods: &Goods, n: usize) -> Acknowledged {
    assert!(n < LIVES, "{LIVES} lives were not enough");
    let (mut told, sold, cancelled, drafted) = join!(
        run_out(world, goods),
        sold_and_refunded(world, goods.units_and_seat(2, 2 * n)),
        declined_and_cancelled(world, goods.units_and_seat(1, 2 * n + 1)),
        drafted_and_sold(world, goods),
    );
    for one in [sold, cancelled, drafted] {
        told.extend(one);
    }
    told
}

/// The same for those only that run out soon: whichever timer is lost, its hold stands.
pub(super) async fn run_out(world: &World, goods: &Goods) -> Acknowledged {
    let (mut told, extended) = join!(run_out_and_paid_late(world, goods), extended_and_run_out(world, goods));
    told.extend(extended);
    told
}

async fn sold_and_refunded(world: &World, lines: [Line; 2]) -> Acknowledged {
    let mut client = Client::new(world);
    let id = client.book(&lines, true).await;
    client.must(async || world.pay(&id).await).await;
    client.must(async || world.refund(&id).await).await;
    client.told
}

async fn declined_and_cancelled(world: &World, lines: [Line; 2]) -> Acknowledged {
    let mut client = Client::new(world);
    let id = client.book(&lines, true).await;
    client.must(async || world.start_payment(&id).await).await;
    let payment = fresh_id();
    client.must(async || world.complete(&id, &payment, false).await).await;
    client.must(async || world.cancel(&id).await).await;
    client.told
}

/// Unless the draft, or its hold, runs out before.
async fn drafted_and_sold(world: &World, goods: &Goods) -> Acknowledged {
    let mut client = Client::new(world);
    let id = client.book(&[units(&goods.middling, 3)], false).await;
    if client.may(async || world.hold_draft(&id).await).await
        && client.may(async || world.start_payment(&id).await).await
    {
        let payment = fresh_id();
        client.must(async || world.complete(&id, &payment, true).await).await;
    }
    client.told
}

async fn run_out_and_paid_late(world: &World, goods: &Goods) -> Acknowledged {
    let mut client = Client::new(world);
    let id = client.book(&[units(&goods.short, 1)], true).await;
    client.outlive(&id).await;
    let payment = fresh_id();
    let paid = client.may(async || world.pay_with(&id, &payment, true).await).await;
    assert!(!paid, "it had run out");
    client.told
}

/// Unless it runs out before it is extended.
async fn extended_and_run_out(world: &World, goods: &Goods) -> Acknowledged {
    let mut client = Client::new(world);
    let id = client.book(&[units(&goods.short, 2)], true).await;
    client.may(async || world.extend(&id, EXTENSION).await).await;
    client.outlive(&id).await;
    client.told
}

/// A draft that nobody holds.
async fn forgotten(world: &World, goods: &Goods) -> Acknowledged {
    let mut client = Client::new(world);
    let id = client.book(&[units(&goods.short, 1)], false).await;
    client.outlive(&id).await;
    client.told
}

/// A hold without a booking, as a crash leaves it.
async fn orphaned(world: &World, goods: &Goods) {
    let item = ProductItem { product_id: goods.short.product_id.clone(), quantity: 1 };
    let hold = PlaceHold {
        key: Some(HoldKey { booking_id: fresh_id(), attempt: 1 }),
        lines: vec![HoldLine { item: Some(hold_line::Item::Product(item)) }],
        ..PlaceHold::default()
    };
    let request = PlaceHoldsRequest { holds: vec![hold] };
    let placed = insist(async || world.holds.clone().place_holds(request.clone()).await).await;
    placed.expect("there is enough");
}
