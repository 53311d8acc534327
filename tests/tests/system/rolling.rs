//! A rolling restart of everything under load: no call fails whose client tries again a few times, at whichever replica.

use stack::{Options, Signal};
use system_tests::{Outcome, Traffic, World, ended, hasty, own};
use tokio::task::block_in_place;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_every_replica_fails_no_call_of_clients_that_try_a_few_times() -> Outcome {
    let stack = own(Options { catalogs: 2, reservations: 2, expirers: 2, ..hasty() }).await;
    let worlds = World::of_each_replica(&stack);
    assert_eq!(worlds.len(), 2);
    let traffic = Traffic::start_over(&worlds, 16).await;
    for service in stack.services() {
        traffic.await_progress().await;
        // SIGTERM, the end of the drain, and ready again before the next one goes.
        service.signal(Signal::TERM);
        assert_eq!(ended(service).await, 0, "{} cut something off", service.name());
        block_in_place(|| service.restart().expect("it starts again"));
    }
    traffic.await_progress().await;
    let retries = traffic.finish(&worlds[0]).await;
    println!("retries that a rolling restart of 6 processes took: {retries}");
    worlds[0].assert_settles().await;
    stack.assert_sound();
    Ok(())
}
