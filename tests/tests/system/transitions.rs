//! The table of states: every way that is not in it is refused with both states named, and changes nothing.

use std::time::Duration;

use proto::{
    catalog::Product,
    reservation::{Booking, BookingState},
};
use system_tests::{Outcome, Stock, World, assert_illegal, fresh_id, state_of, units};
use tonic::Status;

/// What can be asked of a booking that is there.
#[derive(Clone, Copy, Debug)]
enum Call {
    Hold,
    Extend,
    StartPayment,
    CompletePayment,
    FailPayment,
    Pay,
    PayAndFail,
    Cancel,
    Refund,
}

use Call::{Cancel, CompletePayment, Extend, FailPayment, Hold, Pay, PayAndFail, Refund, StartPayment};

/// Every way that is not in the table: in this state, this call would lead to that state.
const ILLEGAL: [(&str, &[(Call, &str)]); 7] = [
    (
        "INITIATED",
        &[
            (Extend, "HELD"),
            (StartPayment, "PAYMENT_PENDING"),
            (CompletePayment, "CONFIRMED"),
            (FailPayment, "HELD"),
            (Pay, "CONFIRMED"),
            (PayAndFail, "HELD"),
            (Refund, "REFUNDED"),
        ],
    ),
    ("HELD", &[(CompletePayment, "CONFIRMED"), (Refund, "REFUNDED")]),
    ("PAYMENT_PENDING", &[(Hold, "HELD"), (Extend, "HELD"), (Refund, "REFUNDED")]),
    (
        "CONFIRMED",
        &[
            (Hold, "HELD"),
            (Extend, "HELD"),
            (StartPayment, "PAYMENT_PENDING"),
            (FailPayment, "HELD"),
            (PayAndFail, "HELD"),
            (Cancel, "CANCELLED"),
        ],
    ),
    (
        "REFUNDED",
        &[
            (Hold, "HELD"),
            (Extend, "HELD"),
            (StartPayment, "PAYMENT_PENDING"),
            (FailPayment, "HELD"),
            (PayAndFail, "HELD"),
            (Cancel, "CANCELLED"),
            (Refund, "REFUNDED"),
        ],
    ),
    (
        "CANCELLED",
        &[
            (Hold, "HELD"),
            (Extend, "HELD"),
            (StartPayment, "PAYMENT_PENDING"),
            (FailPayment, "HELD"),
            (PayAndFail, "HELD"),
            (Refund, "REFUNDED"),
        ],
    ),
    (
        "EXPIRED",
        &[
            (Hold, "HELD"),
            (Extend, "HELD"),
            (StartPayment, "PAYMENT_PENDING"),
            (Cancel, "CANCELLED"),
            (Refund, "REFUNDED"),
        ],
    ),
];

async fn call(world: &World, booking_id: &str, call: Call) -> Result<Booking, Status> {
    let reference = fresh_id();
    match call {
        Hold => world.hold_draft(booking_id).await,
        Extend => world.extend(booking_id, Duration::from_mins(5)).await,
        StartPayment => world.start_payment(booking_id).await,
        CompletePayment => world.complete(booking_id, &reference, true).await,
        FailPayment => world.complete(booking_id, &reference, false).await,
        Pay => world.pay_with(booking_id, &reference, true).await,
        PayAndFail => world.pay_with(booking_id, &reference, false).await,
        Cancel => world.cancel(booking_id).await,
        Refund => world.refund_with(booking_id, &reference).await,
    }
}

/// A booking of two units in this state, of a product that only it has.
async fn booking_in(world: &World, state: &str) -> Result<(Booking, Product), Status> {
    let hold_ttl = if state == "EXPIRED" { Duration::from_millis(100) } else { Duration::from_mins(1) };
    let product = world.product(10, hold_ttl).await;
    let lines = [units(&product, 2)];
    if state == "INITIATED" {
        return Ok((world.draft(&lines).await?, product));
    }
    let held = world.hold(&lines).await?;
    let id = &held.booking_id;
    let booking = match state {
        "PAYMENT_PENDING" => world.start_payment(id).await?,
        "CONFIRMED" => world.pay(id).await?,
        "REFUNDED" => {
            world.pay(id).await?;
            world.refund(id).await?
        }
        "CANCELLED" => world.cancel(id).await?,
        "EXPIRED" => world.await_state(id, BookingState::Expired).await,
        _ => held,
    };
    Ok((booking, product))
}

/// What the product of a booking in this state must come to.
fn stock_in(state: &str) -> Stock {
    match state {
        "HELD" | "PAYMENT_PENDING" => Stock::new(10, 2, 0),
        "CONFIRMED" => Stock::new(10, 0, 2),
        _ => Stock::new(10, 0, 0),
    }
}

async fn assert_refuses(state: &str) -> Outcome {
    let world = World::shared();
    let (booking, product) = booking_in(&world, state).await?;
    assert_eq!(state_of(&booking), state);
    world.await_stock(&product, stock_in(state)).await;
    let before = world.record(&booking.booking_id).await;
    let ways = ILLEGAL.iter().find(|(from, _)| *from == state).expect("the table has every state").1;
    for (way, to) in ways {
        assert_illegal(call(&world, &booking.booking_id, *way).await, state, to);
        assert_eq!(world.record(&booking.booking_id).await, before, "{way:?}");
        assert_eq!(world.stock(&product).await, stock_in(state), "{way:?}");
    }
    world.assert_books_balance(&product).await;
    Ok(())
}

#[tokio::test]
async fn a_draft_refuses_every_way_that_is_not_in_the_table() -> Outcome {
    assert_refuses("INITIATED").await
}

#[tokio::test]
async fn a_held_booking_refuses_every_way_that_is_not_in_the_table() -> Outcome {
    assert_refuses("HELD").await
}

#[tokio::test]
async fn a_booking_being_paid_refuses_every_way_that_is_not_in_the_table() -> Outcome {
    assert_refuses("PAYMENT_PENDING").await
}

#[tokio::test]
async fn a_confirmed_booking_refuses_every_way_that_is_not_in_the_table() -> Outcome {
    assert_refuses("CONFIRMED").await
}

#[tokio::test]
async fn a_refunded_booking_refuses_every_way_that_is_not_in_the_table() -> Outcome {
    assert_refuses("REFUNDED").await
}

#[tokio::test]
async fn a_cancelled_booking_refuses_every_way_that_is_not_in_the_table() -> Outcome {
    assert_refuses("CANCELLED").await
}

#[tokio::test]
async fn an_expired_booking_refuses_every_way_that_is_not_in_the_table() -> Outcome {
    assert_refuses("EXPIRED").await
}

#[tokio::test]
async fn an_unknown_booking_is_not_found_by_any_call() -> Outcome {
    let world = World::shared();
    let id = fresh_id();
    let calls = [Hold, Extend, StartPayment, CompletePayment, FailPayment, Pay, PayAndFail, Cancel, Refund];
    for way in calls {
        let refused = call(&world, &id, way).await;
        let said = system_tests::assert_refused(refused, tonic::Code::NotFound, "BOOKING_NOT_FOUND");
        assert_eq!(said["booking_id"], id, "{way:?}");
    }
    for refused in [world.get(&id).await.map(drop), world.history(&id).await.map(drop)] {
        system_tests::assert_refused(refused, tonic::Code::NotFound, "BOOKING_NOT_FOUND");
    }
    Ok(())
}
