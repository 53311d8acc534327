//! Between the catalog's commit and reservation's: the database that is away, and the caller who leaves.

use std::time::Duration;

use failpoint::{Program, Step};
use proto::{
    catalog::Product,
    reservation::{BookingState, CreateBookingRequest},
};
use system_tests::{
    Armed, Outcome, PATIENCE, Stock, World, assert_refused, customer, eventually, fresh_id, hasty, own, units,
};
use tokio::{task::block_in_place, time::timeout};
use tonic::Code;

/// Less than the delay, so that the caller has gone; more than it takes to get there.
const IMPATIENCE: Duration = Duration::from_secs(1);

fn three_of(product: &Product) -> CreateBookingRequest {
    CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer(),
        lines: vec![units(product, 3)],
        hold: true,
        hold_ttl: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_whose_database_is_away_is_made_by_its_repeat_or_gives_its_units_back() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let (long, short) =
        (world.product(10, Duration::from_mins(5)).await, world.product(10, Duration::from_secs(3)).await);
    let (repeated, abandoned) = (three_of(&long), three_of(&short));
    let armed = Armed::start(&stack, Program::Reservation, Step::CreateInserting, "error:1000000").await;
    for request in [&abandoned, &repeated] {
        for _ in 0..3 {
            let answer = world.create(request.clone()).await;
            let status = answer.expect_err("there is no database to record it in");
            assert!(api::retry_delay_of(&status).is_some(), "{status:?}");
            assert_refused(Err::<(), _>(status), Code::Unavailable, "UNAVAILABLE");
        }
    }
    assert!(armed.is_reached());
    // Nothing is compensated: what became of the insert is not known. It is the sweep that asks.
    assert_eq!(world.stock(&long).await, Stock::new(10, 3, 0));
    world.await_stock(&short, Stock::new(10, 0, 0)).await;
    let tombstone = world.get(&abandoned.booking_id).await?;
    assert_eq!((tombstone.state(), tombstone.customer_id.as_str()), (BookingState::Expired, ""));

    block_in_place(|| stack.reservation().restart().expect("it starts again"));
    assert_eq!(world.create(repeated).await?.state(), BookingState::Held);
    assert_eq!(world.stock(&long).await, Stock::new(10, 3, 0));
    let late = world.create(abandoned).await;
    assert_refused(late, Code::FailedPrecondition, "HOLD_EXPIRED");
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_whose_caller_leaves_between_the_commits_is_made_all_the_same() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(5)).await;
    let request = three_of(&meal);
    let armed = Armed::start(&stack, Program::Reservation, Step::CreatePlaced, "delay:3000").await;
    let left = timeout(IMPATIENCE, world.create(request.clone())).await;
    assert!(left.is_err() && armed.is_reached(), "{left:?}");
    assert_eq!(world.stock(&meal).await, Stock::new(10, 3, 0));

    // Nobody asks again.
    let booking = eventually("it is made", PATIENCE, async || world.get(&request.booking_id).await).await;
    assert_eq!(booking.state(), BookingState::Held);
    assert_eq!(world.create(request).await?.booking_id, booking.booking_id);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 3, 0));
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

/// Nobody goes on with the draft, and nobody can: its hold is swept, and it can be held anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_draft_whose_caller_leaves_between_the_commits_gives_its_units_back_or_is_held_by_a_repeat()
-> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    for (hold_ttl, repeats) in [(Duration::from_mins(5), true), (Duration::from_millis(3_500), false)] {
        let meal = world.product(10, hold_ttl).await;
        let draft = world.draft(&[units(&meal, 3)]).await?.booking_id;
        let armed = Armed::start(&stack, Program::Reservation, Step::HoldPlaced, "delay:3000").await;
        let left = timeout(IMPATIENCE, world.hold_draft(&draft)).await;
        assert!(left.is_err() && armed.is_reached(), "{left:?}");
        assert_eq!(world.stock(&meal).await, Stock::new(10, 3, 0));
        if !repeats {
            world.await_stock(&meal, Stock::new(10, 0, 0)).await;
        }
        assert_eq!(world.hold_draft(&draft).await?.state(), BookingState::Held);
        assert_eq!(world.stock(&meal).await, Stock::new(10, 3, 0));
    }
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
