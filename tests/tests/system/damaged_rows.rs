//! A row that makes no sense: its calls fail, and no one else's; and the log names it.

use std::{fs, time::Duration};

use futures::future::join_all;
use proto::reservation::{BookingState, CreateBookingRequest, ListBookingsRequest};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _};
use stack::Options;
use system_tests::{
    Outcome, PATIENCE, Stock, World, counted, customer, eventually, fresh_id, hasty, own, units, when,
};
use tonic::{Code, Status};

/// How many statements wait for a lock.
async fn waiting(database: &mut PgConnection) -> i64 {
    let count = "select count(*) as waiting from pg_locks where not granted";
    sqlx::query(count).fetch_one(database).await.expect("it can be asked").get("waiting")
}

/// Makes nonsense of a booking's lines.
async fn spoil(world: &World, booking_id: &str, lines: &str) {
    let spoil = format!("update bookings set lines = '{lines}' where booking_id = '{booking_id}'");
    let mut database = world.reservation_database().await;
    sqlx::raw_sql(AssertSqlSafe(spoil)).execute(&mut database).await.expect("nothing forbids it");
}

/// Makes calls while bookings are locked, so that they gather and strangers come to share a batch.
pub(crate) async fn gathered<T>(
    world: &World,
    statements: i64,
    calls: impl Iterator<Item: Future<Output = T>>,
) -> Vec<T> {
    let databases = [world.reservation_database().await, world.reservation_database().await];
    gathered_at(databases, "bookings", statements, calls).await
}

/// The same at a table of either database.
pub(crate) async fn gathered_at<T>(
    [mut database, mut other]: [PgConnection; 2],
    table: &str,
    statements: i64,
    calls: impl Iterator<Item: Future<Output = T>>,
) -> Vec<T> {
    let mut lock = database.begin().await.expect("a transaction begins");
    let statement = format!("lock table {table} in access exclusive mode");
    let locked = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *lock).await;
    locked.expect("the table can be locked");
    let unlocked = async {
        eventually("statements wait for the lock", PATIENCE, async || {
            let count = waiting(&mut other).await;
            when(count >= statements, count)
        })
        .await;
        lock.rollback().await.expect("it ends");
    };
    tokio::join!(join_all(calls), unlocked).0
}

/// Calls about the damaged booking fail as defects, and all others succeed.
pub(crate) fn assert_fails_only<T: std::fmt::Debug>(of_damaged: bool, answer: &Result<T, Status>) {
    let code = answer.as_ref().err().map(Status::code);
    assert_eq!(code, of_damaged.then_some(Code::Internal), "{answer:?}");
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
    spoil(&world, &damaged, "{}").await;

    let calls = (0..60).map(async |i| {
        let (get, create) = if i % 2 == 0 {
            (world.get(&damaged).await, world.create(of_damaged.clone()).await)
        } else {
            (world.get(&sound).await, world.create(request(&fresh_id(), true)).await)
        };
        (i % 2 == 0, get.map(drop), create.map(drop))
    });
    for (of_damaged, get, create) in gathered(&world, 2, calls).await {
        assert_fails_only(of_damaged, &get);
        assert_fails_only(of_damaged, &create);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_makes_no_sense_fails_only_its_own_booking() -> Outcome {
    let stack = own(Options { expirers: 0, ..Options::default() }).await;
    let world = World::of(&stack);
    let meal = world.product(1_000, Duration::from_mins(10)).await;
    let request = |booking_id: &str| CreateBookingRequest {
        booking_id: booking_id.to_owned(),
        customer_id: "somebody".to_owned(),
        lines: vec![units(&meal, 1)],
        hold: true,
        hold_ttl: None,
    };
    let damaged = fresh_id();
    world.create(request(&damaged)).await?;
    // What no array is a constraint forbids.
    let spoil = format!("update holds set lines = '[1]' where booking_id = '{damaged}'");
    let mut catalog = world.catalog_database().await;
    sqlx::raw_sql(AssertSqlSafe(spoil)).execute(&mut catalog).await?;

    let calls = (0..60).map(async |i| {
        let of_damaged = i % 4 == 0;
        let id = if of_damaged { damaged.clone() } else { fresh_id() };
        (of_damaged, world.create(request(&id)).await.map(drop))
    });
    for (of_damaged, answer) in
        gathered_at([catalog, world.catalog_database().await], "products", 1, calls).await
    {
        assert_fails_only(of_damaged, &answer);
    }
    assert_eq!(world.stock(&meal).await, Stock::new(1_000, 46, 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whole_pages_of_drafts_that_make_no_sense_keep_no_other_from_its_end() -> Outcome {
    let stack = own(hasty().env("HOLDFAST_DRAFT_TTL_MS", "2000")).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(10)).await;
    let draft = world.draft(&[units(&meal, 1)]).await?.booking_id;
    let copies = format!(
        "insert into bookings (booking_id, customer_id, state, attempt, lines, draft_expires_at, history_length,
                               created_at, updated_at)
         select gen_random_uuid(), customer_id, state, attempt, '[{{}}]', draft_expires_at - interval '1 hour',
                history_length, created_at, updated_at
         from bookings cross join generate_series(1, 1100) where booking_id = '{draft}'"
    );
    let mut database = world.reservation_database().await;
    sqlx::raw_sql(AssertSqlSafe(copies)).execute(&mut database).await?;
    world.await_state(&draft, BookingState::Expired).await;
    Ok(())
}

/// Nor does it keep holds and drafts that run out from their end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_makes_no_sense_fails_no_change_of_another_booking() -> Outcome {
    let stack = own(hasty().env("HOLDFAST_DRAFT_TTL_MS", "3000")).await;
    let world = World::of(&stack);
    let (long, short) = (
        world.product(1_000, Duration::from_mins(10)).await,
        world.product(10, Duration::from_secs(3)).await,
    );
    let damaged = world.hold(&[units(&long, 1)]).await?.booking_id;
    let sound = world.hold(&[units(&long, 1)]).await?.booking_id;
    let held = [world.hold(&[units(&short, 1)]).await?, world.hold(&[units(&short, 1)]).await?];
    let drafts = [world.draft(&[units(&short, 1)]).await?, world.draft(&[units(&short, 1)]).await?];
    for (id, lines) in [(&damaged, "[1]"), (&held[0].booking_id, "\"x\""), (&drafts[0].booking_id, "[{}]")] {
        spoil(&world, id, lines).await;
    }

    let mut round = 0;
    eventually("strangers share a batch", PATIENCE, async || {
        round += 1;
        let calls = (0..40).map(async |i| {
            let id = if i % 2 == 0 { &damaged } else { &sound };
            (i % 2 == 0, world.extend(id, Duration::from_secs(60 * round + i)).await.map(drop))
        });
        for (of_damaged, answer) in gathered(&world, 1, calls).await {
            assert_fails_only(of_damaged, &answer);
        }
        let count = |what| counted(stack.reservation(), &format!("holdfast_batch_size_{what}"), "\"change\"");
        let (batches, changes) = (count("count"), count("sum"));
        when(changes > batches, (batches, changes))
    })
    .await;

    for sound in [&held[1], &drafts[1]] {
        world.await_state(&sound.booking_id, BookingState::Expired).await;
    }
    world.await_stock(&short, Stock::new(10, 1, 0)).await;
    Ok(())
}

/// A list without it would be wrong, and nobody would know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_makes_no_sense_fails_the_lists_that_it_belongs_to_and_is_named_in_the_log() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(10)).await;
    let (damaged, sound) = (world.draft(&[units(&meal, 1)]).await?, world.draft(&[units(&meal, 1)]).await?);
    spoil(&world, &damaged.booking_id, "[{}]").await;
    let list = async |customer_id: &str, state: BookingState| {
        let request = ListBookingsRequest {
            customer_id: customer_id.to_owned(),
            state: state.into(),
            ..ListBookingsRequest::default()
        };
        world.bookings.clone().list_bookings(request).await.map(|answer| answer.into_inner().bookings)
    };
    let any = BookingState::Unspecified;
    for (customer_id, state) in [("", any), ("", BookingState::Initiated), (&*damaged.customer_id, any)] {
        assert_fails_only(true, &list(customer_id, state).await);
    }
    assert_eq!(list(&damaged.customer_id, BookingState::Held).await?, []);
    let listed = list(&sound.customer_id, any).await?;
    assert_eq!(listed.iter().map(|booking| &booking.booking_id).collect::<Vec<_>>(), [&sound.booking_id]);
    let log = fs::read_to_string(stack.reservation().log().expect("it has a log"))?;
    let named = log.lines().filter(|line| line.contains(" ERROR ") && line.contains(&damaged.booking_id));
    assert_eq!(named.count(), 3, "{log}");
    Ok(())
}
