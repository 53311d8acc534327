//! Starting in any order, waiting for what is not there yet, and stopping without dropping a call.

use std::{fs, time::Duration};

use proto::reservation::BookingState;
use sqlx::Connection as _;
use stack::{Service, Shutdown, Signal};
use system_tests::{Outcome, PATIENCE, Stock, World, eventually, hasty, own, units, when};
use tokio::task::block_in_place;

/// Whether it calls itself ready.
fn is_ready(service: &Service) -> bool {
    service.get("/readyz").is_ok_and(|answer| answer.status == 200)
}

fn log_of(service: &Service) -> String {
    fs::read_to_string(service.log().expect("it has a log")).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn services_that_start_before_postgresql_and_rabbitmq_wait_for_them() -> Outcome {
    let stack = own(hasty()).await;
    let meal = World::of(&stack).product(10, Duration::from_millis(800)).await;
    block_in_place(|| {
        stack.services().iter().for_each(Service::stop);
        stack.rabbitmq().stop();
        stack.postgres().stop(Shutdown::Fast);
        for service in stack.services().iter().rev() {
            service.spawn().expect("it can be started");
        }
    });
    for (service, words) in [
        (stack.catalog(), "waiting for PostgreSQL"),
        (stack.reservation(), "waiting for PostgreSQL"),
        (stack.expirer(), "no connection to RabbitMQ"),
    ] {
        eventually("it says what it waits for", PATIENCE, async || {
            let log = log_of(service);
            when(log.contains(words), log)
        })
        .await;
    }
    assert!(stack.services().iter().all(|service| service.is_running() && !is_ready(service)));

    // With PostgreSQL alone bookings work; the expirer sweeps, but calls itself unready.
    block_in_place(|| stack.postgres().restart().expect("it starts"));
    for service in [stack.catalog(), stack.reservation()] {
        block_in_place(|| service.wait_ready(PATIENCE).expect("it is ready"));
    }
    let world = World::of(&stack);
    world.hold(&[units(&meal, 2)]).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    let ready = stack.expirer().get("/readyz").expect("it answers");
    assert!(ready.status == 503 && ready.body.contains("broker"), "{}", ready.body);

    block_in_place(|| stack.rabbitmq().restart().expect("it starts"));
    block_in_place(|| stack.expirer().wait_ready(PATIENCE).expect("it is ready"));
    world.hold(&[units(&meal, 2)]).await?;
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_told_to_stop_answers_the_calls_that_it_has() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(5)).await;
    let booking = world.hold(&[units(&meal, 2)]).await?;

    // A call that waits for a row that we have locked.
    let mut ours = world.reservation_database().await;
    let mut lock = ours.begin().await?;
    sqlx::query("select from bookings for update").execute(&mut *lock).await?;
    let call = tokio::spawn({
        let (world, id) = (world.clone(), booking.booking_id.clone());
        async move { world.cancel(&id).await }
    });
    let mut watcher = world.reservation_database().await;
    eventually("the call waits for its row", PATIENCE, async || {
        let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'";
        let waiting = sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut watcher).await;
        let waiting = waiting.expect("PostgreSQL answers");
        when(waiting > 0, waiting)
    })
    .await;
    stack.reservation().signal(Signal::TERM);
    eventually("it is draining", PATIENCE, async || {
        let ready = is_ready(stack.reservation());
        when(!ready, ready)
    })
    .await;
    assert!(stack.reservation().is_running());
    lock.rollback().await?;

    let cancelled = call.await?.expect("the call is answered");
    assert_eq!(cancelled.state(), BookingState::Cancelled);
    eventually("it has ended", PATIENCE, async || {
        let running = stack.reservation().is_running();
        when(!running, running)
    })
    .await;
    block_in_place(|| stack.reservation().restart().expect("it starts again"));
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    assert_eq!(world.record(&booking.booking_id).await.path(), ["HELD", "CANCELLED"]);
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
