//! Services that die: whoever comes back finds everything that it needs.

use std::time::Duration;

use proto::reservation::{BookingState, CreateBookingRequest};
use stack::{Options, ServiceKind};
use system_tests::{
    Outcome, PATIENCE, Stock, World, assert_refused, customer, eventually, fresh_id, hasty, own, units, when,
};
use tokio::task::block_in_place;
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_that_were_open_when_the_expirer_was_killed_are_all_released_after_its_restart() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(2_000, Duration::from_secs(1)).await;
    let line = [units(&meal, 2)];
    let bookings = futures::future::try_join_all((0..30).map(|_| world.hold(&line))).await?;
    block_in_place(|| stack.expirer().kill());

    // The time of all of them passes, and nobody is there to say so.
    let last = bookings
        .iter()
        .filter_map(|booking| booking.expire_time)
        .max_by_key(|time| (time.seconds, time.nanos));
    world.await_clock(last.expect("there are some")).await;
    assert_eq!(world.stock(&meal).await, Stock::new(2_000, 60, 0));
    block_in_place(|| stack.expirer().restart().expect("it starts again"));
    world.await_stock(&meal, Stock::new(2_000, 0, 0)).await;
    for booking in &bookings {
        assert_eq!(world.get(&booking.booking_id).await?.state(), BookingState::Expired);
    }

    // Once more, in the middle of the work.
    futures::future::try_join_all((0..500).map(|_| world.hold(&line))).await?;
    eventually("the expirer has begun", PATIENCE, async || {
        let held = world.stock(&meal).await.held;
        when(held < 1_000, held)
    })
    .await;
    block_in_place(|| {
        stack.expirer().kill();
        stack.expirer().restart().expect("it starts again");
    });
    world.await_stock(&meal, Stock::new(2_000, 0, 0)).await;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_catalog_holds_are_refused_and_everything_else_goes_on() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_mins(1)).await;
    let lines = [units(&meal, 1)];
    let (to_pay, to_cancel) = (world.hold(&lines).await?, world.hold(&lines).await?);
    let quick = world.product(10, Duration::from_secs(1)).await;
    let to_expire = world.hold(&[units(&quick, 1)]).await?;
    block_in_place(|| stack.catalog().kill());

    for refused in [world.hold(&lines).await, world.hold(&lines).await] {
        let status = refused.expect_err("the catalog is away");
        assert!(api::retry_delay_of(&status).is_some(), "{status:?}");
        assert_refused(Err::<(), _>(status), Code::Unavailable, "UNAVAILABLE");
    }
    let draft = world.draft(&lines).await?;
    assert_eq!(world.pay(&to_pay.booking_id).await?.state(), BookingState::Confirmed);
    assert_eq!(world.cancel(&to_cancel.booking_id).await?.state(), BookingState::Cancelled);
    world.await_state(&to_expire.booking_id, BookingState::Expired).await;

    block_in_place(|| stack.catalog().restart().expect("it starts again"));
    world.await_stock(&meal, Stock::new(100, 0, 1)).await;
    world.await_stock(&quick, Stock::new(10, 0, 0)).await;
    eventually("holds are placed again", PATIENCE, async || world.hold_draft(&draft.booking_id).await).await;
    assert_eq!(world.stock(&meal).await, Stock::new(100, 1, 1));
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_reservation_nothing_is_released_and_its_return_settles_everything() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_secs(1)).await;
    let booking = world.hold(&[units(&meal, 3)]).await?;
    block_in_place(|| stack.reservation().kill());

    let status = world.get(&booking.booking_id).await.expect_err("reservation is away");
    assert_eq!(status.code(), Code::Unavailable);
    // Overdue by the catalog's clock, listed for the sweep, and still nobody's to release.
    eventually("the hold is overdue", PATIENCE, async || {
        let request = proto::catalog::ListOverdueHoldsRequest::default();
        let overdue = world.holds.clone().list_overdue_holds(request).await.expect("the catalog is there");
        let keys = overdue.into_inner().keys;
        when(keys.iter().any(|key| key.booking_id == booking.booking_id), keys)
    })
    .await;
    assert_eq!(world.stock(&meal).await, Stock::new(100, 3, 0));

    block_in_place(|| stack.reservation().restart().expect("it starts again"));
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;
    assert_eq!(world.get(&booking.booking_id).await?.state(), BookingState::Expired);
    assert!(
        stack.services().iter().any(|service| service.kind() == ServiceKind::Expirer && service.is_running())
    );
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expirer_that_freezes_with_timers_in_hand_is_stood_in_for_by_another() -> Outcome {
    let stack = own(Options { expirers: 2, ..hasty() }).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_millis(1_500)).await;
    for _ in 0..20 {
        // One by one: a timer each, shared out among the two.
        world.hold(&[units(&meal, 1)]).await?;
    }
    stack.expirer().freeze();
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;
    stack.expirer().thaw();
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_whose_answer_got_lost_is_claimed_by_its_repeat_or_released() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_secs(2)).await;
    let request = || CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer(),
        lines: vec![units(&meal, 3)],
        hold: true,
        hold_ttl: None,
    };
    let (repeated, abandoned) = (request(), request());
    stack.catalog().freeze();
    let (one, other) = tokio::join!(world.create(repeated.clone()), world.create(abandoned.clone()));
    for answer in [one, other] {
        assert_refused(answer, Code::Unavailable, "UNAVAILABLE");
    }
    stack.catalog().thaw();
    let booking =
        eventually("the repeat goes through", PATIENCE, async || world.create(repeated.clone()).await).await;
    assert!([BookingState::Held, BookingState::Expired].contains(&booking.state()), "{booking:?}");
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;
    if let Ok(tombstone) = world.get(&abandoned.booking_id).await {
        assert_eq!((tombstone.state(), tombstone.customer_id.as_str()), (BookingState::Expired, ""));
    }
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
