//! Races for the same thing: whoever wins, it is sold once. Half of the callers come through other replicas.

use std::time::Duration;

use futures::future::join_all;
use proto::{
    catalog::{SeatMap, SeatState},
    reservation::{Booking, BookingState, CreateBookingRequest},
};
use system_tests::{
    Outcome, Stock, World, assert_refused, customer, fresh_id, sample_product, sample_seats, seat, units,
};
use tonic::{Code, Status};

const MINUTE: Duration = Duration::from_mins(1);

/// Does something so many times at once, turn and turn about through both replicas.
async fn all_at_once<T>(count: usize, what: impl AsyncFn(&World, usize) -> T) -> Vec<T> {
    let worlds = [World::shared(), World::shared_by_others()];
    join_all((0..count).map(|n| what(&worlds[n % 2], n))).await
}

/// Those that succeeded; all others were refused for this reason.
fn winners(answers: Vec<Result<Booking, Status>>, reason: &str) -> Vec<Booking> {
    let mut won = Vec::new();
    for answer in answers {
        match answer {
            Ok(booking) => won.push(booking),
            refused => drop(assert_refused(refused, Code::FailedPrecondition, reason)),
        }
    }
    won
}

#[tokio::test]
async fn of_twenty_who_want_one_of_ten_units_exactly_ten_get_it() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_secs(2)).await;
    let answers = all_at_once(20, async |world, _| world.hold(&[units(&meal, 1)]).await).await;
    assert_eq!(winners(answers, "INSUFFICIENT_STOCK").len(), 10);

    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn of_two_hundred_who_want_one_seat_exactly_one_gets_it_and_again_after_it_expires() -> Outcome {
    let world = World::shared();
    let map = world.seat_map(&["12A"], Duration::from_secs(2)).await;
    for _ in 0..2 {
        let answers = all_at_once(200, async |world, _| world.hold(&[seat(&map, "12A")]).await).await;
        let won = winners(answers, "SEAT_TAKEN");
        assert_eq!(won.len(), 1);
        let expired = world.await_state(&won[0].booking_id, BookingState::Expired).await;
        assert_eq!(expired.state(), BookingState::Expired);
        world.await_seats(&map, &[SeatState::Free]).await;
    }
    Ok(())
}

#[tokio::test]
async fn eight_cancels_of_one_booking_return_its_units_once() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 4)]).await?;
    let other = world.hold(&[units(&meal, 4)]).await?;
    for answer in all_at_once(8, async |world, _| world.cancel(&booking.booking_id).await).await {
        assert_eq!(answer?.state(), BookingState::Cancelled);
    }
    world.await_stock(&meal, Stock::new(10, 4, 0)).await;
    assert_eq!(world.record(&booking.booking_id).await.path(), ["HELD", "CANCELLED"]);
    assert_eq!(world.get(&other.booking_id).await?.state(), BookingState::Held);
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn eight_refunds_of_one_booking_refund_it_once() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let mut bookings = Vec::new();
    for _ in 0..2 {
        let booking = world.hold(&[units(&meal, 4)]).await?;
        bookings.push(world.pay(&booking.booking_id).await?);
    }
    let (same, different) = (&bookings[0].booking_id, &bookings[1].booking_id);
    // Eight times the same refund: all succeed. Eight different ones: one does.
    for answer in all_at_once(8, async |world, _| world.refund(same).await).await {
        assert_eq!(answer?.state(), BookingState::Refunded);
    }
    let answers = all_at_once(8, async |world, _| world.refund_with(different, &fresh_id()).await).await;
    assert_eq!(winners(answers, "ILLEGAL_TRANSITION").len(), 1);
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    for id in [same, different] {
        let path = world.record(id).await.path();
        assert_eq!(path, ["HELD", "PAYMENT_PENDING", "CONFIRMED", "REFUNDED"]);
    }
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn eight_holds_of_one_draft_take_its_units_once() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let draft = world.draft(&[units(&meal, 3)]).await?;
    for answer in all_at_once(8, async |world, _| world.hold_draft(&draft.booking_id).await).await {
        assert_eq!(answer?.state(), BookingState::Held);
    }
    assert_eq!(world.stock(&meal).await, Stock::new(10, 3, 0));
    assert_eq!(world.record(&draft.booking_id).await.path(), ["INITIATED", "HELD"]);
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn of_eight_payments_of_one_booking_one_pays_and_seven_are_to_be_refunded() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;
    let id = &booking.booking_id;
    let answers = all_at_once(8, async |world, _| world.pay_with(id, &fresh_id(), true).await).await;
    assert_eq!(winners(answers, "ALREADY_PAID").len(), 1);
    assert_eq!(world.record(id).await.path(), ["HELD", "PAYMENT_PENDING", "CONFIRMED"]);
    world.await_stock(&meal, Stock::new(10, 0, 2)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn requests_with_one_id_at_the_same_time_make_one_booking() -> Outcome {
    let world = World::shared();
    let meal = world.product(100, MINUTE).await;
    for hold in [true, false] {
        let request = CreateBookingRequest {
            booking_id: fresh_id(),
            customer_id: customer(),
            lines: vec![units(&meal, 3)],
            hold,
            hold_ttl: None,
        };
        let answers = all_at_once(16, async |world, _| world.create(request.clone()).await).await;
        for answer in answers {
            assert_eq!(answer?.booking_id, request.booking_id);
        }
        assert_eq!(world.history(&request.booking_id).await?.len(), 1);
    }
    assert_eq!(world.stock(&meal).await, Stock::new(100, 3, 0));
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn requests_with_one_id_and_different_contents_make_the_booking_of_one_of_them() -> Outcome {
    let world = World::shared();
    let meal = world.product(1_000, MINUTE).await;
    for _ in 0..10 {
        let id = fresh_id();
        let answers = all_at_once(8, async |world, n| {
            let quantity = i64::try_from(n).expect("a small number") + 1;
            let request = CreateBookingRequest {
                booking_id: id.clone(),
                customer_id: customer(),
                lines: vec![units(&meal, quantity)],
                // Drafts among them: their insert races the holds of the others.
                hold: n % 3 > 0,
                hold_ttl: None,
            };
            world.create(request).await
        })
        .await;
        let (won, lost): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "{won:?}");
        for refused in lost {
            assert_refused(refused, Code::AlreadyExists, "ID_REUSED");
        }
    }
    // Whatever the losers had placed is released: only what the winners hold stays held.
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_draft_and_holds_with_one_id_and_the_same_content_make_one_held_booking() -> Outcome {
    let world = World::shared();
    let meal = world.product(1_000, MINUTE).await;
    for _ in 0..10 {
        let request = CreateBookingRequest {
            booking_id: fresh_id(),
            customer_id: customer(),
            lines: vec![units(&meal, 3)],
            hold: false,
            hold_ttl: None,
        };
        let answers = all_at_once(8, async |world, n| {
            world.create(CreateBookingRequest { hold: n % 3 > 0, ..request.clone() }).await
        });
        for answer in answers.await {
            assert!([BookingState::Initiated, BookingState::Held].contains(&answer?.state()));
        }
        assert_eq!(world.get(&request.booking_id).await?.state(), BookingState::Held);
    }
    world.await_stock(&meal, Stock::new(1_000, 30, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn eight_creations_of_one_product_or_map_make_one() -> Outcome {
    let world = World::shared();
    for _ in 0..10 {
        let (id, product) = (fresh_id(), sample_product());
        let answers = all_at_once(8, async |world, _| world.create_product(&id, product.clone()).await).await;
        let made = world.get_product(&id).await?;
        for answer in answers {
            assert_eq!(answer?, made);
        }
        let map = SeatMap { display_name: "A flight".to_owned(), ..SeatMap::default() };
        let seats = sample_seats(&["1A", "1B", "1C"]);
        let answers =
            all_at_once(8, async |world, _| world.create_seat_map(&id, map.clone(), seats.clone()).await)
                .await;
        let made = world.get_seat_map(&id).await?;
        for answer in answers {
            assert_eq!(answer?, made);
        }
        assert_eq!(world.seats(&made).await.len(), 3);
    }
    Ok(())
}
