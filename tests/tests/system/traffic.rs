//! Everything at once: the rules hold at any instant, and in the end the books balance.

use system_tests::{Outcome, Traffic, World, hasty, own, shared};
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rules_hold_at_every_instant_of_busy_traffic() -> Outcome {
    let world = World::of(shared());
    let traffic = Traffic::start(&world, 24).await;
    for _ in 0..8 {
        traffic.await_progress().await;
        world.assert_rules_hold().await;
    }
    traffic.finish(&world).await;
    world.assert_rules_hold().await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_service_is_killed_or_restarted_nothing_acknowledged_is_lost_or_sold_twice() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let traffic = Traffic::start(&world, 16).await;
    for service in stack.services() {
        traffic.await_progress().await;
        block_in_place(|| {
            service.kill();
            service.restart().expect("it starts again");
        });
    }
    for service in stack.services().iter().rev() {
        traffic.await_progress().await;
        // With SIGTERM this time: it drains.
        block_in_place(|| service.restart().expect("it starts again"));
    }
    traffic.await_progress().await;
    traffic.finish(&world).await;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_postgresql_and_rabbitmq_go_through_nothing_acknowledged_is_lost_or_sold_twice() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let traffic = Traffic::start(&world, 16).await;
    traffic.await_progress().await;
    block_in_place(|| {
        stack.postgres().kill();
        stack.postgres().restart().expect("it recovers");
    });
    traffic.await_progress().await;
    block_in_place(|| stack.rabbitmq().kill());
    traffic.await_progress().await;
    block_in_place(|| stack.postgres().restart().expect("it starts again"));
    traffic.await_progress().await;
    block_in_place(|| stack.rabbitmq().restart().expect("it starts again"));
    traffic.await_progress().await;
    traffic.finish(&world).await;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
