//! The steps of the relay with rows that it cannot deliver: none is lost, none is doubled, and none stands in the way of
//! the others.

use std::time::Duration;

use failpoint::{Program, Step};
use futures::join;
use proto::reservation::BookingState;
use sqlx::Row as _;
use system_tests::{Armed, Outcome, PATIENCE, Stock, World, eventually, hasty, insist, own, units, when};
use tokio::task::block_in_place;
use uuid::Uuid;

/// A promise about two holds, of which one has an attempt that does not exist.
const HALF_BAD: &str = "insert into outbox (kind, subject, booking_ids, attempts)
                        values ('settle', 'RELEASE', array[$1, $2], array[1, 0])";
/// A promise that was parked long ago, and that can be kept by now.
const RESTED: &str = "insert into outbox_parked (outbox_id, kind, subject, booking_ids, attempts, created_at,
                                                 parked_at, failure)
                      select coalesce(max(outbox_id), 0) + 1000000, 'settle', 'RELEASE', array[$1, $2], array[1, 1],
                             now() - interval '1 hour', now() - interval '1 hour', 'a test'
                      from outbox_parked";

/// The bookings that are in the outbox and those that are parked.
async fn promised(world: &World) -> (Vec<Uuid>, Vec<Uuid>) {
    let row = sqlx::query(
        "select array(select unnest(booking_ids) from outbox) as waiting,
                array(select unnest(booking_ids) from outbox_parked) as parked",
    );
    let row = row.fetch_one(&mut world.reservation_database().await).await.expect("the outbox can be read");
    (row.get("waiting"), row.get("parked"))
}

pub(super) fn is_walked_here(step: Step) -> bool {
    ["relay.one.", "relay.parked."].iter().any(|unit| step.name().starts_with(unit))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_relay_dies_or_fails_over_a_bad_promise_no_other_is_lost() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(1_000_000, Duration::from_mins(5)).await;
    let mut parked_before = Vec::new();
    let mut connection = world.reservation_database().await;
    for step in Step::ALL.iter().filter(|step| is_walked_here(**step)) {
        for action in ["abort", "error"] {
            eprintln!("reservation: {} {action}", step.name());
            let [good, bad] = [Uuid::now_v7(), Uuid::now_v7()];
            let rested = *step == Step::RelayParkedReturned;
            let cancelled = world.hold(&[units(&meal, 1)]).await?;
            world.await_stock(&meal, Stock::new(1_000_000, 1, 0)).await;
            if rested {
                // The parked are looked at when the relay starts.
                sqlx::query(RESTED).bind(good).bind(bad).execute(&mut connection).await?;
            }
            let armed = Armed::start(&stack, Program::Reservation, *step, action).await;
            if !rested {
                sqlx::query(HALF_BAD).bind(good).bind(bad).execute(&mut connection).await?;
                parked_before.push(bad);
            }
            let cancel = insist(async || world.cancel(&cancelled.booking_id).await);
            let (answer, ()) = join!(cancel, armed.revived());
            assert_eq!(answer?.state(), BookingState::Cancelled);
            if rested {
                block_in_place(|| stack.reservation().restart().expect("it starts again"));
            }
            eventually("what can be delivered is, and the rest is parked once", PATIENCE, async || {
                let (waiting, mut parked) = promised(&world).await;
                parked.sort_unstable();
                when(waiting.is_empty() && parked == parked_before, (waiting, parked))
            })
            .await;
            world.await_stock(&meal, Stock::new(1_000_000, 0, 0)).await;
        }
    }
    Ok(())
}
