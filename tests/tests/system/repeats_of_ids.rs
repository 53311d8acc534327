//! Ids that callers choose: the same content finds what is there, other content is refused and changes nothing.

use std::time::Duration;

use proto::{
    catalog::{Product, SeatMap},
    reservation::CreateBookingRequest,
};
use system_tests::{
    Outcome, Stock, World, assert_refused, customer, fresh_id, sample_product, sample_seats, times, units,
};
use tonic::Code;

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_booking_id_cannot_be_used_for_another_booking() -> Outcome {
    let world = World::shared();
    let meal = world.product(100, MINUTE).await;
    let other_meal = world.product(100, MINUTE).await;
    for hold in [true, false] {
        let first = CreateBookingRequest {
            booking_id: fresh_id(),
            customer_id: customer(),
            lines: vec![units(&meal, 2)],
            hold,
            hold_ttl: None,
        };
        world.create(first.clone()).await?;
        let before = (world.record(&first.booking_id).await, world.stock(&meal).await);
        let with = |lines| CreateBookingRequest { lines, ..first.clone() };
        let held = CreateBookingRequest { hold: true, ..first.clone() };
        let others = [
            with(vec![units(&meal, 3)]),
            with(vec![units(&meal, 2), units(&other_meal, 1)]),
            with(vec![units(&other_meal, 2)]),
            CreateBookingRequest { customer_id: customer(), ..first.clone() },
            CreateBookingRequest { customer_id: customer(), ..held.clone() },
            CreateBookingRequest { lines: vec![units(&other_meal, 7)], ..held.clone() },
            CreateBookingRequest { hold_ttl: Some(times(Duration::from_secs(3))), ..held },
        ];
        for other in others {
            let said = assert_refused(world.create(other).await, Code::AlreadyExists, "ID_REUSED");
            assert_eq!(said["booking_id"], first.booking_id);
            assert_eq!(world.record(&first.booking_id).await, before.0);
        }
        world.await_stock(&meal, before.1).await;
    }
    // A hold that the catalog placed for a refused request is given back.
    world.await_stock(&other_meal, Stock::new(100, 0, 0)).await;
    world.assert_books_balance(&meal).await;
    Ok(())
}

#[tokio::test]
async fn a_payment_id_cannot_be_used_for_another_payment() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let first = world.hold(&[units(&meal, 1)]).await?;
    let second = world.hold(&[units(&meal, 1)]).await?;
    let (paid, failed) = (fresh_id(), fresh_id());
    world.pay_with(&first.booking_id, &failed, false).await?;
    world.pay_with(&first.booking_id, &paid, true).await?;
    let before = (world.record(&first.booking_id).await, world.record(&second.booking_id).await);
    for (booking, payment, success) in [
        (&second, &paid, true),
        (&second, &failed, false),
        (&second, &failed, true),
        (&first, &failed, true),
        (&first, &paid, false),
    ] {
        let refused = world.pay_with(&booking.booking_id, payment, success).await;
        let said = assert_refused(refused, Code::AlreadyExists, "ID_REUSED");
        assert_eq!(said["payment_id"], *payment);
    }
    assert_eq!((world.record(&first.booking_id).await, world.record(&second.booking_id).await), before);
    Ok(())
}

#[tokio::test]
async fn a_refund_id_cannot_be_used_for_another_booking() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let mut paid = Vec::new();
    for _ in 0..2 {
        let booking = world.hold(&[units(&meal, 1)]).await?;
        paid.push(world.pay(&booking.booking_id).await?.booking_id);
    }
    let refund_id = fresh_id();
    world.refund_with(&paid[0], &refund_id).await?;
    let before = world.record(&paid[1]).await;
    let said =
        assert_refused(world.refund_with(&paid[1], &refund_id).await, Code::AlreadyExists, "ID_REUSED");
    assert_eq!(said["refund_id"], refund_id);
    assert_eq!(world.record(&paid[1]).await, before);
    world.await_stock(&meal, Stock::new(10, 0, 1)).await;
    Ok(())
}

#[tokio::test]
async fn a_product_id_finds_its_product_and_no_other_content() -> Outcome {
    let world = World::shared();
    let (id, asked) = (fresh_id(), sample_product());
    let created = world.create_product(&id, asked.clone()).await?;
    world.hold(&[units(&created, 2)]).await?;
    world.adjust(&fresh_id(), &id, 5).await?;
    let now = world.get_product(&id).await?;

    assert_eq!(world.create_product(&id, asked.clone()).await?, now);
    // What callers cannot set is not looked at.
    let noisy = Product { held: 99, sold: 5, available: 1, etag: "x".to_owned(), ..asked.clone() };
    assert_eq!(world.create_product(&id, noisy).await?, now);
    for other in [
        Product { on_hand: 11, ..asked.clone() },
        Product { display_name: "A snack".to_owned(), ..asked.clone() },
        Product { sku: fresh_id(), ..asked.clone() },
        Product { price: Some(system_tests::euros(1)), ..asked.clone() },
        Product { hold_ttl: Some(times(Duration::from_secs(5))), ..asked.clone() },
    ] {
        let said = assert_refused(world.create_product(&id, other).await, Code::AlreadyExists, "ID_REUSED");
        assert_eq!(said["product_id"], id);
    }
    assert_eq!(world.get_product(&id).await?, now);
    Ok(())
}

#[tokio::test]
async fn an_adjustment_counts_once() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, MINUTE).await;
    let id = fresh_id();
    let adjust = futures::future::join_all((0..8).map(|_| world.adjust(&id, &meal.product_id, 5))).await;
    for answer in adjust {
        assert_eq!(answer?.on_hand, 15);
    }
    let said = assert_refused(world.adjust(&id, &meal.product_id, 6).await, Code::AlreadyExists, "ID_REUSED");
    assert_eq!(said["adjustment_id"], id);
    let other = world.product(10, MINUTE).await;
    assert_refused(world.adjust(&id, &other.product_id, 5).await, Code::AlreadyExists, "ID_REUSED");
    assert_eq!(world.stock(&meal).await, Stock::new(15, 0, 0));
    assert_eq!(world.stock(&other).await, Stock::new(10, 0, 0));
    Ok(())
}

#[tokio::test]
async fn a_seat_map_id_finds_its_map_and_no_other_content() -> Outcome {
    let world = World::shared();
    let id = fresh_id();
    let asked = SeatMap { display_name: "A flight".to_owned(), ..SeatMap::default() };
    let seats = sample_seats(&["1A", "1B"]);
    let created = world.create_seat_map(&id, asked.clone(), seats.clone()).await?;
    assert_eq!((created.free_seats, created.seat_map_id.as_str()), (2, id.as_str()));
    assert_eq!(world.create_seat_map(&id, asked.clone(), seats.clone()).await?, created);

    let renamed = SeatMap { display_name: "Another".to_owned(), ..asked.clone() };
    for (map, seats) in [
        (renamed, seats.clone()),
        (asked.clone(), sample_seats(&["1A"])),
        (asked.clone(), sample_seats(&["1B", "1A"])),
    ] {
        let refused = world.create_seat_map(&id, map, seats).await;
        let said = assert_refused(refused, Code::AlreadyExists, "ID_REUSED");
        assert_eq!(said["seat_map_id"], id);
    }
    assert_eq!(world.get_seat_map(&id).await?, created);
    assert_eq!(world.seats(&created).await.len(), 2);
    Ok(())
}
