//! A cluster below: a PostgreSQL primary with a synchronous standby, and three RabbitMQ nodes. Any one of them goes, and
//! nothing that was acknowledged is lost.

use std::time::Duration;

use proto::reservation::BookingState;
use stack::{Options, PostgresPair};
use system_tests::{Lag, Outcome, OwnStack, PATIENCE, Traffic, World, eventually, hasty, own, units, when};
use tokio::task::block_in_place;

/// How long holds may take to expire when a node dies. A queue that dead-letters waits for the confirm of the queue behind it when
/// that one has lost its leader meanwhile (`dead_letter_worker_publisher_confirm_timeout`, 10 s here), and then sends again.
const FAILOVER: Duration = Duration::from_mins(2);
/// When the sweep asks about a hold whose timer has not come.
const GRACE: Duration = Duration::from_secs(20);

fn pair(stack: &OwnStack) -> &PostgresPair {
    stack.postgres_pair().expect("it is a cluster")
}

/// There and back: the server that was rebuilt takes over from the one that was promoted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_postgresql_server_dies_the_other_has_every_acknowledged_booking() -> Outcome {
    let stack = own(Options { cluster: true, catalogs: 2, reservations: 2, ..hasty() }).await;
    let world = World::of(&stack);
    let traffic = Traffic::start(&world, 16).await;
    for _ in 0..2 {
        traffic.await_progress().await;
        block_in_place(|| {
            pair(&stack).promote().expect("the standby becomes the primary");
            pair(&stack).rebuild().expect("the other becomes its standby");
        });
    }
    traffic.await_progress().await;
    // The standby goes and comes back: calls wait for it, and then they go on.
    block_in_place(|| {
        pair(&stack).standby().kill();
        pair(&stack).standby().restart().expect("it starts again");
    });
    traffic.await_progress().await;
    // What was asked of the databases directly is asked of the primary that is.
    let world = World::of(&stack);
    traffic.finish(&world).await;
    world.assert_settles().await;
    block_in_place(|| {
        for service in stack.services() {
            service.wait_ready(PATIENCE).expect("it is ready again by itself");
        }
    });
    stack.assert_sound();
    Ok(())
}

/// By their timers, as long as the sweep has nothing to do; RabbitMQ 3.10 was seen, once in nine runs on a busy machine, to hand on
/// nothing for two minutes after the death of a node. That two elections in short order may leave a lane without the worker that hands
/// on, for as long as it keeps its leader, is known: <https://github.com/rabbitmq/rabbitmq-server/pull/16203>.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_rabbitmq_node_dies_every_hold_is_brought_back_by_the_others_or_by_the_sweep() -> Outcome {
    let options = Options { cluster: true, ..hasty() };
    let stack = own(options.env("HOLDFAST_REVIEW_GRACE_MS", &GRACE.as_millis().to_string())).await;
    let world = World::of(&stack);
    let meal = world.product(1_000, Duration::from_secs(2)).await;
    let before = Lag::of(&stack);
    let mut holds = 0;
    for node in stack.rabbitmq_nodes() {
        let mut bookings = Vec::new();
        for _ in 0..10 {
            bookings.push(world.hold(&[units(&meal, 1)]).await?);
        }
        // Timers that wait in the lanes, and timers that are still to be published.
        block_in_place(|| node.kill());
        for _ in 0..10 {
            bookings.push(world.hold(&[units(&meal, 1)]).await?);
        }
        eventually("every hold has expired", FAILOVER, async || {
            let mut open = Vec::new();
            for booking in &bookings {
                let seen = world.get(&booking.booking_id).await.expect("the booking is there");
                open.extend((seen.state() != BookingState::Expired).then_some(seen.booking_id));
            }
            when(open.is_empty(), open)
        })
        .await;
        holds += bookings.len() as u64;
        block_in_place(|| node.restart().expect("it joins again"));
    }
    eventually("every hold was brought once, and timers brought some", PATIENCE, async || {
        let now = Lag::of(&stack);
        when(now.all() == before.all() + holds && now.by_timer > before.by_timer, now)
    })
    .await;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
