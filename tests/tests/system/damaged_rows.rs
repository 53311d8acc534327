//! A row that makes no sense: its calls fail, and no one else's.

use std::time::Duration;

use futures::future::join_all;
use proto::reservation::CreateBookingRequest;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use system_tests::{Outcome, PATIENCE, World, customer, eventually, fresh_id, hasty, own, units, when};
use tonic::Code;

/// How many statements wait for a lock.
async fn waiting(database: &mut PgConnection) -> i64 {
    let count = "select count(*) as waiting from pg_locks where not granted";
    sqlx::query(count).fetch_one(database).await.expect("it can be asked").get("waiting")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_makes_no_sense_fails_only_the_calls_about_it() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(1_000, Duration::from_mins(10)).await;
    let request = |booking_id: &str, hold| CreateBookingRequest {
        booking_id: booking_id.to_owned(),
        customer_id: customer(),
        lines: vec![units(&meal, 1)],
        hold,
        hold_ttl: None,
    };
    let (damaged, sound) = (fresh_id(), fresh_id());
    let of_damaged = request(&damaged, false);
    world.create(of_damaged.clone()).await?;
    world.create(request(&sound, true)).await?;
    let mut database = world.reservation_database().await;
    let spoil = format!("update bookings set lines = '[{{}}]' where booking_id = '{damaged}'");
    sqlx::raw_sql(AssertSqlSafe(spoil)).execute(&mut database).await?;

    // While the table is locked calls gather, so that strangers come to share a batch.
    let mut lock = database.begin().await?;
    sqlx::query("lock table bookings in access exclusive mode").execute(&mut *lock).await?;
    let calls = (0..60).map(async |i| {
        let (get, create) = if i % 2 == 0 {
            (world.get(&damaged).await, world.create(of_damaged.clone()).await)
        } else {
            (world.get(&sound).await, world.create(request(&fresh_id(), true)).await)
        };
        (i % 2 == 0, get.map(drop), create.map(drop))
    });
    let unlocked = async {
        let mut other = world.reservation_database().await;
        eventually("reads wait for the lock", PATIENCE, async || {
            let count = waiting(&mut other).await;
            when(count >= 2, count)
        })
        .await;
        lock.rollback().await
    };
    let (answers, unlocked) = tokio::join!(join_all(calls), unlocked);
    unlocked?;
    for (of_damaged, get, create) in answers {
        for answer in [get, create] {
            let code = answer.as_ref().err().map(tonic::Status::code);
            assert_eq!(code, of_damaged.then_some(Code::Internal), "{answer:?}");
        }
    }
    Ok(())
}
