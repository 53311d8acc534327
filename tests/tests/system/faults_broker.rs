//! RabbitMQ away, silent or emptied: punctuality is all that is lost.

use std::time::Duration;

use proto::reservation::{Booking, BookingState};
use stack::Stack as Parts;
use system_tests::{Lag, News, Outcome, PATIENCE, Stock, World, eventually, hasty, own, units, when};
use tokio::task::block_in_place;
use tonic::Status;

/// Holds, one after the other, expire by their timers again.
async fn assert_timers_work(parts: &Parts, world: &World) -> Outcome {
    let quick = world.product(1_000, Duration::from_millis(800)).await;
    let before = Lag::of(parts).by_timer;
    eventually("a timer brings back a hold", PATIENCE, async || {
        let booking = world.hold(&[units(&quick, 1)]).await.expect("it is there");
        world.await_state(&booking.booking_id, BookingState::Expired).await;
        let now = Lag::of(parts).by_timer;
        when(now > before, now)
    })
    .await;
    Ok(())
}

async fn hold_many(world: &World, product: &proto::catalog::Product) -> Result<Vec<Booking>, Status> {
    let line = [units(product, 2)];
    futures::future::try_join_all((0..20).map(|_| world.hold(&line))).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_rabbitmq_holds_succeed_and_expire_by_the_sweep_and_its_return_does_no_harm() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_secs(1)).await;
    News::keep(&stack, "books").await;
    block_in_place(|| stack.rabbitmq().stop());

    let bookings = hold_many(&world, &meal).await?;
    let [paid, cancelled, expired @ ..] = &bookings[..] else { panic!("there are twenty") };
    world.pay(&paid.booking_id).await?;
    world.cancel(&cancelled.booking_id).await?;
    assert_eq!(stack.reservation().get("/readyz").map(|ready| ready.status).ok(), Some(200));
    world.await_stock(&meal, Stock::new(100, 0, 2)).await;
    for booking in expired {
        assert_eq!(world.get(&booking.booking_id).await?.state(), BookingState::Expired);
    }
    let swept = expired.len() as u64;
    assert_eq!(Lag::of(&stack), Lag { by_timer: 0, by_sweep: swept });
    let before =
        futures::future::join_all(bookings.iter().map(|booking| world.record(&booking.booking_id))).await;

    block_in_place(|| stack.rabbitmq().restart().expect("it starts again"));
    let news = News::resume(&stack, "books").await;
    news.await_subjects(&paid.booking_id, &["booking.held", "booking.confirmed"]).await;
    news.await_subjects(&cancelled.booking_id, &["booking.held", "booking.cancelled"]).await;
    for booking in expired {
        news.await_subjects(&booking.booking_id, &["booking.held", "booking.expired"]).await;
    }
    assert_timers_work(&stack, &world).await?;
    // The timers of what was swept came, too, and changed nothing.
    world.assert_settles().await;
    let after =
        futures::future::join_all(bookings.iter().map(|booking| world.record(&booking.booking_id))).await;
    assert_eq!(after, before);
    assert_eq!(world.stock(&meal).await, Stock::new(100, 0, 2));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rabbitmq_that_falls_silent_and_then_forgets_everything_loses_no_hold() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_secs(1)).await;

    // Silent: its connections stay open, and nothing is confirmed.
    block_in_place(|| stack.rabbitmq().freeze());
    hold_many(&world, &meal).await?;
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;
    block_in_place(|| stack.rabbitmq().thaw());
    assert_timers_work(&stack, &world).await?;
    world.assert_settles().await;

    // Emptied: timers that wait in the lanes, queues, exchanges, all of it.
    let slow = world.product(100, Duration::from_secs(4)).await;
    hold_many(&world, &slow).await?;
    eventually("all timers are in their lanes", PATIENCE, async || {
        let waiting = sqlx::query_scalar::<_, i64>("select count(*) from outbox")
            .fetch_one(&mut world.reservation_database().await)
            .await
            .expect("the outbox can be read");
        when(waiting == 0, waiting)
    })
    .await;
    block_in_place(|| {
        for step in ["stop_app", "reset", "start_app"] {
            stack.rabbitmq().control("rabbitmqctl", &[step]).expect("RabbitMQ can be reset");
        }
    });
    world.await_stock(&slow, Stock::new(100, 0, 0)).await;
    assert_timers_work(&stack, &world).await?;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
