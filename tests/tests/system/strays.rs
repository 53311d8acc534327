//! Holds without a booking: whatever a crash between the two commits leaves behind is found and released.

use std::time::Duration;

use proto::{
    catalog::{
        HoldKey, HoldLine, HoldState, PlaceHold, PlaceHoldsRequest, PlacedHold, Product, ProductItem,
        SettleHold, SettleHoldsRequest, SettleOutcome, hold_line,
        place_hold_outcome::Outcome as Placement,
        settle_hold::{Commit, Release, Verdict as Settle},
    },
    reservation::{BookingState, CreateBookingRequest, ResolveHoldsRequest, hold_verdict::Verdict},
};
use stack::Options;
use system_tests::{Outcome, Stock, World, assert_refused, customer, fresh_id, own, units};
use tonic::{Code, Status};

/// Places a hold of so many units behind reservation's back.
async fn place(
    world: &World,
    booking_id: &str,
    customer_id: &str,
    product: &Product,
    quantity: i64,
) -> Result<PlacedHold, Status> {
    let item = ProductItem { product_id: product.product_id.clone(), quantity };
    let hold = PlaceHold {
        key: Some(HoldKey { booking_id: booking_id.to_owned(), attempt: 1 }),
        lines: vec![HoldLine { item: Some(hold_line::Item::Product(item)) }],
        customer_id: customer_id.to_owned(),
        ..PlaceHold::default()
    };
    let answer = world.holds.clone().place_holds(PlaceHoldsRequest { holds: vec![hold] }).await?.into_inner();
    match answer.outcomes.into_iter().next().and_then(|outcome| outcome.outcome) {
        Some(Placement::Placed(placed)) => Ok(placed),
        other => panic!("not placed: {other:?}"),
    }
}

fn key(booking_id: &str) -> HoldKey {
    HoldKey { booking_id: booking_id.to_owned(), attempt: 1 }
}

#[tokio::test]
async fn a_hold_whose_booking_was_never_recorded_is_swept_and_its_late_booking_loses() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_millis(200)).await;
    let (id, owner) = (fresh_id(), customer());
    assert_eq!(place(&world, &id, &owner, &meal, 4).await?.state(), HoldState::Active);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 4, 0));

    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    let tombstone = world.get(&id).await?;
    assert_eq!((tombstone.state(), tombstone.customer_id.as_str()), (BookingState::Expired, ""));
    assert_eq!(place(&world, &id, &owner, &meal, 4).await?.state(), HoldState::Released);

    for hold in [true, false] {
        let request = CreateBookingRequest {
            booking_id: id.clone(),
            customer_id: owner.clone(),
            lines: vec![units(&meal, 4)],
            hold,
            hold_ttl: None,
        };
        let said = assert_refused(world.create(request).await, Code::FailedPrecondition, "HOLD_EXPIRED");
        assert_eq!(said["booking_id"], id);
    }
    assert_eq!(world.record(&id).await.booking.customer_id, "");
    assert_eq!(world.stock(&meal).await, Stock::new(10, 0, 0));
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_creation_that_died_between_its_commits_is_completed_by_its_repeat() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_mins(1)).await;
    let (id, owner) = (fresh_id(), customer());
    place(&world, &id, &owner, &meal, 4).await?;
    let request = CreateBookingRequest {
        booking_id: id.clone(),
        customer_id: owner,
        lines: vec![units(&meal, 4)],
        hold: true,
        hold_ttl: None,
    };
    // Who asks for something else under its id, or for themselves, gets nothing, and leaves it.
    let more = CreateBookingRequest { lines: vec![units(&meal, 3)], ..request.clone() };
    let other = CreateBookingRequest { customer_id: customer(), ..request.clone() };
    for theirs in [more, other] {
        let said = assert_refused(world.create(theirs).await, Code::AlreadyExists, "ID_REUSED");
        assert_eq!(said["booking_id"], id);
    }
    assert_refused(world.get(&id).await, Code::NotFound, "BOOKING_NOT_FOUND");
    assert_eq!(world.create(request).await?.state(), BookingState::Held);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 4, 0));
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_draft_whose_hold_was_lost_on_the_way_can_be_held_again() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_millis(200)).await;
    let draft = world.draft(&[units(&meal, 4)]).await?;
    place(&world, &draft.booking_id, &draft.customer_id, &meal, 4).await?;

    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    assert_eq!(world.get(&draft.booking_id).await?.state(), BookingState::Initiated);
    let held = world.hold_draft(&draft.booking_id).await?;
    assert_eq!(held.state(), BookingState::Held);
    world.await_state(&draft.booking_id, BookingState::Expired).await;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn verdicts_are_asked_and_carried_over_again_without_harm() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_mins(1)).await;
    let held = world.hold(&[units(&meal, 1)]).await?.booking_id;
    let paid = world.hold(&[units(&meal, 2)]).await?.booking_id;
    let cancelled = world.hold(&[units(&meal, 3)]).await?.booking_id;
    world.pay(&paid).await?;
    world.cancel(&cancelled).await?;
    world.await_stock(&meal, Stock::new(10, 1, 2)).await;
    let (unknown, ids) = (fresh_id(), [&held, &paid, &cancelled]);
    let keys: Vec<_> = ids.into_iter().chain([&unknown]).map(|id| key(id)).collect();
    let before = futures::future::join_all(ids.map(|id| world.record(id))).await;
    let mut tombstone = None;
    for _ in 0..3 {
        let request = ResolveHoldsRequest { keys: keys.clone() };
        let answer = world.settlement.clone().resolve_holds(request).await?.into_inner();
        let verdicts: Vec<_> = answer.verdicts.into_iter().map(|verdict| verdict.verdict).collect();
        let [
            Some(Verdict::NotDue(left)),
            Some(Verdict::Commit(_)),
            Some(Verdict::Release(_)),
            Some(Verdict::Release(_)),
        ] = verdicts[..]
        else {
            panic!("{verdicts:?}")
        };
        assert!(left.seconds > 0 && left.seconds < 60, "{left:?}");
        let now = world.record(&unknown).await;
        assert_eq!(*tombstone.get_or_insert(now.clone()), now);

        let settle = |id: &str, verdict| SettleHold { key: Some(key(id)), verdict: Some(verdict) };
        let holds = vec![
            settle(&paid, Settle::Commit(Commit {})),
            settle(&cancelled, Settle::Release(Release {})),
            // Monotone: what was released stays so.
            settle(&cancelled, Settle::Commit(Commit {})),
            settle(&unknown, Settle::Release(Release {})),
        ];
        let answer = world.holds.clone().settle_holds(SettleHoldsRequest { holds }).await?.into_inner();
        let (unchanged, unknown) = (SettleOutcome::Unchanged, SettleOutcome::Unknown);
        assert_eq!(answer.outcomes().collect::<Vec<_>>(), [unchanged, unchanged, unchanged, unknown]);
    }
    assert_eq!(futures::future::join_all(ids.map(|id| world.record(id))).await, before);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 1, 2));
    world.assert_books_balance(&meal).await;
    Ok(())
}

/// The question that ends a booking may be about a hold that the booking has left behind. Without an expirer, so that
/// nobody else ends it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_booking_that_ends_by_a_question_about_another_hold_gives_its_own_back() -> Outcome {
    let stack = own(Options { expirers: 0, ..Options::default() }).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_millis(500)).await;
    let draft = world.draft(&[units(&meal, 4)]).await?;
    let id = &draft.booking_id;
    // As a program of an older release does, which names no customer.
    place(&world, id, "", &meal, 4).await?;
    let ask = async || {
        let request = ResolveHoldsRequest { keys: vec![key(id)] };
        let answer = world.settlement.clone().resolve_holds(request).await?.into_inner();
        assert!(matches!(answer.verdicts[0].verdict, Some(Verdict::Release(_))), "{answer:?}");
        Ok::<_, Status>(())
    };
    ask().await?;
    let held = world.hold_draft(id).await?;
    assert_eq!(world.stock(&meal).await, Stock::new(10, 8, 0));

    world.await_clock(held.expire_time.expect("it has a deadline")).await;
    ask().await?;
    assert_eq!(world.get(id).await?.state(), BookingState::Expired);
    // Its own hold is given back by reservation; the one that was asked about is the asker's to release.
    world.await_stock(&meal, Stock::new(10, 4, 0)).await;
    let holds = vec![SettleHold { key: Some(key(id)), verdict: Some(Settle::Release(Release {})) }];
    world.holds.clone().settle_holds(SettleHoldsRequest { holds }).await?;
    assert_eq!(world.stock(&meal).await, Stock::new(10, 0, 0));
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
