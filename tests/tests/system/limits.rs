//! Limits per customer: on units of a product, on seats of a map, on open holds. They hold through all replicas, whoever calls at the
//! same moment, and what is given back may be had again.

use std::time::Duration;

use futures::future::join_all;
use prost_types::FieldMask;
use proto::{
    catalog::{Product, UpdateProductRequest},
    reservation::{Booking, BookingState, CreateBookingRequest, Line},
};
use stack::Options;
use system_tests::{
    Outcome, PATIENCE, Stock, World, assert_refused, customer, eventually, fresh_id, hasty, own, seat, units,
    when,
};
use tonic::{Code, Status};

const MINUTE: Duration = Duration::from_mins(1);
/// Callers at the same moment.
const CALLERS: usize = 200;

/// What one customer gets who calls so often at once, turn and turn about through all replicas. All other calls were refused
/// for this reason, with this limit, which is what the customer had.
async fn all_at_once(
    worlds: &[World],
    reason: &str,
    limit: i64,
    line: impl Fn(usize) -> Line,
) -> Vec<Booking> {
    let customer_id = customer();
    let calls = (0..CALLERS).map(|n| {
        let (world, line, customer_id) = (&worlds[n % worlds.len()], line(n), &customer_id);
        async move { world.hold_for(customer_id, &[line]).await }
    });
    let mut won = Vec::new();
    for answer in join_all(calls).await {
        match answer {
            Ok(booking) => won.push(booking),
            refused => {
                let said = assert_refused(refused, Code::FailedPrecondition, reason);
                assert_eq!((&said["limit"], &said["has"]), (&limit.to_string(), &limit.to_string()));
            }
        }
    }
    won
}

/// A customer may have no more of it.
#[track_caller]
fn assert_limited(refused: Result<Booking, Status>, of: (&str, &str), [limit, has, requested]: [i64; 3]) {
    let said = assert_refused(refused, Code::FailedPrecondition, "CUSTOMER_LIMIT");
    let numbers = [&said["limit"], &said["has"], &said["requested"]];
    assert_eq!(numbers, [limit, has, requested].each_ref().map(ToString::to_string).each_ref());
    assert_eq!(said[of.0], of.1);
}

/// Holds for a customer, as soon as what they gave back has arrived.
async fn hold_again_for(world: &World, customer_id: &str, lines: &[Line]) -> Booking {
    let mut held = None;
    eventually("there is room for another hold", PATIENCE, async || {
        let answer = world.hold_for(customer_id, lines).await;
        let refused = answer.as_ref().err().map(|status| status.message().to_owned());
        held = answer.ok().or(held.take());
        when(held.is_some(), refused)
    })
    .await;
    held.expect("it was waited for")
}

async fn limit(world: &World, product: &Product, limit: i64) -> Result<Product, Status> {
    let product_id = product.product_id.clone();
    let product = Product { product_id, max_units_per_customer: limit, ..Product::default() };
    let paths = vec!["max_units_per_customer".to_owned()];
    let request = UpdateProductRequest { product: Some(product), update_mask: Some(FieldMask { paths }) };
    let answer = world.catalog.clone().update_product(request).await?.into_inner();
    Ok(answer.product.expect("the answer has the product"))
}

async fn assert_audited(world: &World) -> Outcome {
    let report = audit::run(&world.audit_options()).await?;
    assert!(report.is_sound(), "{report}");
    Ok(())
}

#[tokio::test]
async fn two_hundred_callers_for_one_customer_hold_as_many_units_as_one_may_have() -> Outcome {
    let worlds = [World::shared(), World::shared_by_others()];
    let meal = worlds[0].limited_product(1_000, MINUTE, 4).await;
    let won = all_at_once(&worlds, "CUSTOMER_LIMIT", 4, |_| units(&meal, 1)).await;
    assert_eq!(won.len(), 4);
    assert_eq!(worlds[0].stock(&meal).await, Stock::new(1_000, 4, 0));
    worlds[0].assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn two_hundred_callers_for_one_customer_hold_as_many_seats_as_one_may_have() -> Outcome {
    let worlds = [World::shared(), World::shared_by_others()];
    let labels: Vec<String> = (0..CALLERS).map(|n| n.to_string()).collect();
    let names: Vec<&str> = labels.iter().map(String::as_str).collect();
    let map = worlds[0].limited_seat_map(&names, MINUTE, 3).await;
    let won = all_at_once(&worlds, "CUSTOMER_LIMIT", 3, |n| seat(&map, &labels[n])).await;
    assert_eq!(won.len(), 3);
    let map = worlds[0].get_seat_map(&map.seat_map_id).await?;
    assert_eq!((map.held_seats, map.free_seats), (3, 197));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_callers_for_one_customer_have_as_many_open_holds_as_one_may() -> Outcome {
    let options = Options { catalogs: 2, reservations: 2, ..hasty() };
    let stack = own(options.env("HOLDFAST_MAX_OPEN_HOLDS_PER_CUSTOMER", "5")).await;
    let worlds = World::of_each_replica(&stack);
    let world = &worlds[0];
    let mut meals = Vec::new();
    for _ in 0..10 {
        meals.push(world.product(1_000, MINUTE).await);
    }
    let won = all_at_once(&worlds, "OPEN_HOLDS_LIMIT", 5, |n| units(&meals[n % 10], 1)).await;
    assert_eq!(won.len(), 5);
    let held: i64 = join_all(meals.iter().map(async |meal| world.stock(meal).await.held)).await.iter().sum();
    assert_eq!(held, 5);
    assert_audited(world).await?;

    // Each of them makes room: sold, cancelled, and the rest by another customer, whom they do not concern.
    let ann = &won[0].customer_id;
    world.pay(&won[0].booking_id).await?;
    world.cancel(&won[1].booking_id).await?;
    for _ in 0..2 {
        hold_again_for(world, ann, &[units(&meals[0], 1)]).await;
    }
    let full = world.hold_for(ann, &[units(&meals[0], 1)]).await;
    assert_refused(full, Code::FailedPrecondition, "OPEN_HOLDS_LIMIT");
    world.hold(&[units(&meals[0], 1)]).await?;
    // What was bought is not open any more, and gives no room by being refunded.
    world.refund(&won[0].booking_id).await?;
    eventually("what was sold is on sale again", PATIENCE, async || {
        let sold: i64 =
            join_all(meals.iter().map(async |meal| world.stock(meal).await.sold)).await.iter().sum();
        when(sold == 0, sold)
    })
    .await;
    assert_audited(world).await?;
    let full = world.hold_for(ann, &[units(&meals[0], 1)]).await;
    assert_refused(full, Code::FailedPrecondition, "OPEN_HOLDS_LIMIT");
    stack.assert_sound();
    Ok(())
}

#[tokio::test]
async fn what_is_cancelled_refunded_or_has_run_out_may_be_had_again_and_what_is_bought_may_not() -> Outcome {
    let world = World::shared();
    let meal = world.limited_product(100, MINUTE, 4).await;
    let (ann, of_meal) = (customer(), ("product_id", meal.product_id.as_str()));
    let (cancelled, sold) =
        (world.hold_for(&ann, &[units(&meal, 3)]).await?, world.hold_for(&ann, &[units(&meal, 1)]).await?);
    world.pay(&sold.booking_id).await?;
    world.await_stock(&meal, Stock::new(100, 3, 1)).await;
    assert_limited(world.hold_for(&ann, &[units(&meal, 1)]).await, of_meal, [4, 4, 1]);
    world.cancel(&cancelled.booking_id).await?;
    hold_again_for(&world, &ann, &[units(&meal, 3)]).await;
    assert_limited(world.hold_for(&ann, &[units(&meal, 1)]).await, of_meal, [4, 4, 1]);
    world.refund(&sold.booking_id).await?;
    hold_again_for(&world, &ann, &[units(&meal, 1)]).await;
    assert_limited(world.hold_for(&ann, &[units(&meal, 1)]).await, of_meal, [4, 4, 1]);

    let soon = world.limited_product(100, Duration::from_millis(500), 2).await;
    let first = world.hold_for(&ann, &[units(&soon, 2)]).await?;
    world.await_state(&first.booking_id, BookingState::Expired).await;
    hold_again_for(&world, &ann, &[units(&soon, 2)]).await;
    Ok(())
}

#[tokio::test]
async fn one_customer_is_not_limited_by_what_another_has() -> Outcome {
    let world = World::shared();
    let meal = world.limited_product(100, MINUTE, 2).await;
    for name in [customer(), customer()] {
        world.hold_for(&name, &[units(&meal, 2)]).await?;
        assert!(world.hold_for(&name, &[units(&meal, 1)]).await.is_err());
    }
    assert_eq!(world.stock(&meal).await, Stock::new(100, 4, 0));
    Ok(())
}

#[tokio::test]
async fn a_booking_of_limited_and_unlimited_things_is_taken_in_whole_or_not_at_all() -> Outcome {
    let world = World::shared();
    let (meal, wine) = (world.limited_product(100, MINUTE, 2).await, world.product(100, MINUTE).await);
    let map = world.limited_seat_map(&["1A", "1B"], MINUTE, 1).await;
    let ann = customer();
    let both = [units(&wine, 10), seat(&map, "1A"), units(&meal, 2), seat(&map, "1B")];
    let of_map = ("seat_map_id", map.seat_map_id.as_str());
    assert_limited(world.hold_for(&ann, &both).await, of_map, [1, 0, 2]);
    assert_eq!(world.stock(&wine).await, Stock::new(100, 0, 0));
    world.hold_for(&ann, &both[..3]).await?;
    // Of what has no limit there may be more.
    world.hold_for(&ann, &both[..1]).await?;
    assert_eq!(
        (world.stock(&wine).await, world.stock(&meal).await),
        (Stock::new(100, 20, 0), Stock::new(100, 2, 0))
    );
    Ok(())
}

#[tokio::test]
async fn a_limit_that_is_set_later_changed_or_removed_counts_from_then_on() -> Outcome {
    let world = World::shared();
    let meal = world.product(100, MINUTE).await;
    let (ann, of_meal) = (customer(), ("product_id", meal.product_id.as_str()));
    // Taken before there is a limit: it does not count, and gives nothing back.
    let before = world.hold_for(&ann, &[units(&meal, 10)]).await?;
    assert_eq!(limit(&world, &meal, 3).await?.max_units_per_customer, 3);
    let counted = world.hold_for(&ann, &[units(&meal, 3)]).await?;
    world.cancel(&before.booking_id).await?;
    world.await_stock(&meal, Stock::new(100, 3, 0)).await;
    assert_limited(world.hold_for(&ann, &[units(&meal, 1)]).await, of_meal, [3, 3, 1]);
    // Raised, lowered below what they have, removed.
    limit(&world, &meal, 5).await?;
    world.hold_for(&ann, &[units(&meal, 2)]).await?;
    limit(&world, &meal, 1).await?;
    assert_limited(world.hold_for(&ann, &[units(&meal, 1)]).await, of_meal, [1, 5, 1]);
    assert_eq!(world.stock(&meal).await, Stock::new(100, 5, 0));
    assert_eq!(limit(&world, &meal, 0).await?.max_units_per_customer, 0);
    world.hold_for(&ann, &[units(&meal, 7)]).await?;
    // Set again: what counted before counts still, until it is given back.
    limit(&world, &meal, 6).await?;
    assert_limited(world.hold_for(&ann, &[units(&meal, 2)]).await, of_meal, [6, 5, 2]);
    world.cancel(&counted.booking_id).await?;
    hold_again_for(&world, &ann, &[units(&meal, 4)]).await;
    Ok(())
}

#[tokio::test]
async fn a_repeat_at_the_limit_is_answered_as_the_first_call() -> Outcome {
    let world = World::shared();
    let meal = world.limited_product(100, MINUTE, 2).await;
    let request = CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer(),
        lines: vec![units(&meal, 2)],
        hold: true,
        hold_ttl: None,
    };
    let first = world.create(request.clone()).await?;
    let repeats = join_all((0..20).map(|_| world.create(request.clone()))).await;
    for repeat in repeats {
        assert_eq!(repeat?.booking_id, first.booking_id);
    }
    assert_eq!(world.stock(&meal).await, Stock::new(100, 2, 0));
    Ok(())
}

#[tokio::test]
async fn a_draft_counts_nothing_and_is_held_within_the_limit() -> Outcome {
    let world = World::shared();
    let meal = world.limited_product(100, MINUTE, 2).await;
    let (ann, mut drafts) = (customer(), Vec::new());
    for _ in 0..3 {
        let request = CreateBookingRequest {
            booking_id: fresh_id(),
            customer_id: ann.clone(),
            lines: vec![units(&meal, 1)],
            hold: false,
            hold_ttl: None,
        };
        drafts.push(world.create(request).await?.booking_id);
    }
    for draft in &drafts[..2] {
        assert_eq!(world.hold_draft(draft).await?.state(), BookingState::Held);
    }
    let of_meal = ("product_id", meal.product_id.as_str());
    assert_limited(world.hold_draft(&drafts[2]).await, of_meal, [2, 2, 1]);
    assert_eq!(world.get(&drafts[2]).await?.state(), BookingState::Initiated);
    // A repeat finds its hold.
    world.hold_draft(&drafts[0]).await?;
    Ok(())
}
