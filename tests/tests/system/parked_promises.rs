//! Promises that are refused on their own: they are parked, seen and tried again, and stop nothing.

use std::{fs, process::Command, time::Duration};

use futures::future::try_join_all;
use proto::reservation::BookingState;
use sqlx::{PgConnection, Row as _};
use stack::{Options, Schema, Service, Stack, binary};
use system_tests::{News, Outcome, PATIENCE, Stock, World, counted, eventually, hasty, own, units, when};
use uuid::Uuid;

/// Rows that no relay can make sense of: how each is written, and what it is told apart by.
const SENSELESS: [(&str, &str); 10] = [
    ("'settle', 'MAYBE', array[$1::uuid], array[1], null, null, null", "neither COMMIT nor RELEASE"),
    ("'settle', 'RELEASE', array[$1::uuid], array[0], null, null, null", "attempt below 1"),
    ("'settle', 'RELEASE', array[$1::uuid], array[null::int], null, null, null", "database"),
    ("'timer', '', array[$1::uuid], array[-7], null, array[now()], null", "attempt below 1"),
    (
        "'timer', '', array[$1::uuid], array[1], null, array['infinity'::timestamptz], null",
        "time that is none",
    ),
    ("'timer', '', array[null::uuid, $1], array[1, 1], null, array[now(), null], null", "database"),
    ("'event', '', array[$1::uuid], null, array['ada'], null, null", "no routing key"),
    ("'event', repeat('x', 300), array[$1::uuid], null, array['ada'], null, null", "no routing key"),
    ("'event', 'booking.held', array[$1::uuid], null, array[null::text], null, null", "database"),
    (
        "'event', 'booking.held', array[$1::uuid], null, array['ada'], array['-infinity'::timestamptz], null",
        "none",
    ),
];

async fn promise(database: &mut PgConnection, values: &str) {
    let columns = "kind, subject, booking_ids, attempts, customer_ids, deadlines, reference_ids";
    let insert = format!("insert into outbox ({columns}) values ({values})");
    let insert = sqlx::query(sqlx::AssertSqlSafe(insert)).bind(Uuid::new_v4());
    insert.execute(database).await.expect("the table takes it");
}

/// What is parked: kind and failure, the oldest first.
async fn parked(world: &World) -> Vec<(String, String)> {
    let rows = sqlx::query("select kind, failure from outbox_parked order by outbox_id");
    let rows = rows.fetch_all(&mut world.reservation_database().await).await.expect("the table is there");
    rows.iter().map(|row| (row.get("kind"), row.get("failure"))).collect()
}

/// How often the log says that a promise was parked.
fn parkings(service: &Service) -> usize {
    let log = fs::read_to_string(service.log().expect("it has a log")).expect("it can be read");
    log.lines()
        .filter(|line| line.contains(" ERROR ") && line.contains("a promise that is refused is parked"))
        .count()
}

/// `reservation retry-parked`
fn retry_parked(stack: &Stack) {
    let mut command = Command::new(binary("reservation").expect("it is built"));
    command.arg("retry-parked").env("HOLDFAST_DATABASE_URL", stack.database_url(Schema::Reservation));
    let output = command.output().expect("it can be run");
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_that_make_no_sense_are_parked_and_stop_no_other() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let news = News::listen(&stack).await;
    let meal = world.product(20, Duration::from_secs(2)).await;

    stack.reservation().stop();
    let mut database = world.reservation_database().await;
    for (values, _) in SENSELESS {
        promise(&mut database, values).await;
    }
    stack.reservation().restart().expect("it comes back");

    // One promise of each kind is kept behind them.
    let cancelled = world.hold(&[units(&meal, 3)]).await?;
    world.cancel(&cancelled.booking_id).await?;
    world.await_stock(&meal, Stock::new(20, 0, 0)).await;
    news.await_subjects(&cancelled.booking_id, &["booking.held", "booking.cancelled"]).await;
    let held = world.hold(&[units(&meal, 4)]).await?;
    world.await_state(&held.booking_id, BookingState::Expired).await;

    // The sixth has two bookings, and neither can be read.
    let found = eventually("everything senseless is parked", PATIENCE, async || {
        let found = parked(&world).await;
        when(found.len() == SENSELESS.len() + 1, found)
    })
    .await;
    for (values, failure) in SENSELESS {
        let kind = values.trim_start_matches('\'').split('\'').next().expect("it opens with its kind");
        let is_there = found.iter().any(|(of, why)| of == kind && why.contains(failure));
        assert!(is_there, "{kind} {failure} in {found:#?}");
    }
    assert_eq!(parkings(stack.reservation()), found.len());
    let metric = "holdfast_outbox_parked_bookings_total";
    for (kind, bookings) in [("timer", 4), ("event", 4), ("settle", 3)] {
        assert_eq!(counted(stack.reservation(), metric, &format!("kind=\"{kind}\"")), bookings, "{kind}");
    }

    retry_parked(&stack);
    eventually("they are tried again, and parked again", PATIENCE, async || {
        let again = counted(stack.reservation(), metric, "");
        when(again >= 22, again)
    })
    .await;
    assert_eq!(parked(&world).await.len(), found.len());
    let log = fs::read_to_string(stack.reservation().log().expect("it has a log"))?;
    assert!(!log.contains("panicked"), "{log}");
    world.assert_settles().await;
    Ok(())
}

/// Many bookings share a row, and the catalog refuses all of a call for one hold that it cannot settle.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_that_the_catalog_cannot_settle_is_parked_alone_and_settled_once_it_can() -> Outcome {
    let stack = own(Options { expirers: 0, ..Options::default() }).await;
    let world = World::of(&stack);
    let (good, damaged) =
        (world.product(100, Duration::from_mins(1)).await, world.product(100, Duration::from_mins(1)).await);
    let bad = world.hold(&[units(&damaged, 4)]).await?.booking_id;
    let holds = try_join_all((0..30).map(|_| async { world.hold(&[units(&good, 1)]).await })).await?;
    let damage = "update products set held = $1 where product_id = $2::uuid";
    let mut catalog = world.catalog_database().await;
    let set_held = async |catalog: &mut PgConnection, held: i64| {
        let update = sqlx::query(damage).bind(held).bind(&damaged.product_id);
        update.execute(catalog).await.expect("the product can be written");
    };
    set_held(&mut catalog, 0).await;

    let ids = holds.iter().map(|held| held.booking_id.as_str()).chain([bad.as_str()]);
    try_join_all(ids.map(|id| world.cancel(id))).await?;
    world.await_stock(&good, Stock::new(100, 0, 0)).await;
    let found = eventually("the hold is parked", PATIENCE, async || {
        let found = parked(&world).await;
        when(!found.is_empty(), found)
    })
    .await;
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].0 == "settle" && found[0].1.contains("catalog: Internal"), "{found:#?}");
    assert_eq!(counted(stack.reservation(), "holdfast_outbox_parked_bookings_total", ""), 1);

    set_held(&mut catalog, 4).await;
    retry_parked(&stack);
    world.await_stock(&damaged, Stock::new(100, 0, 0)).await;
    assert_eq!(parked(&world).await, []);
    world.assert_settles().await;
    Ok(())
}

/// Breaks the settling of the catalog, or mends it: a column that it needs has gone, as after a bad migration.
async fn rename_column(catalog: &mut PgConnection, from: &str, to: &str) {
    let rename = format!("alter table holds rename column {from} to {to}");
    sqlx::query(sqlx::AssertSqlSafe(rename)).execute(catalog).await.expect("the table can be changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_that_refuses_everything_is_waited_for() -> Outcome {
    let stack = own(Options { expirers: 0, ..Options::default() }).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_mins(5)).await;
    let holds = try_join_all((0..30).map(|_| async { world.hold(&[units(&meal, 1)]).await })).await?;
    let mut catalog = world.catalog_database().await;
    rename_column(&mut catalog, "settled_at", "gone").await;

    // Each is a row of its own.
    for held in &holds {
        world.cancel(&held.booking_id).await?;
    }
    let failures =
        eventually("it is told that nothing is delivered, again and again", PATIENCE, async || {
            let failures = counted(stack.reservation(), "holdfast_outbox_failures_total", "kind=\"settle\"");
            when(failures >= 6, failures)
        })
        .await;
    let aside = parked(&world).await.len();
    assert!((aside as u64) < failures, "of {failures} passes at most one row each is parked, not {aside}");

    rename_column(&mut catalog, "gone", "settled_at").await;
    eventually("the others are delivered", PATIENCE, async || {
        let waiting = sqlx::query_scalar::<_, i64>("select count(*) from outbox where kind = 'settle'");
        let waiting = waiting.fetch_one(&mut world.reservation_database().await).await.expect("it is read");
        when(waiting == 0, waiting)
    })
    .await;
    retry_parked(&stack);
    world.await_stock(&meal, Stock::new(100, 0, 0)).await;
    assert_eq!(parked(&world).await, []);
    world.assert_settles().await;
    Ok(())
}

/// More than go back at once, by far: all of them are tried again, without another rest between.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promises_that_were_parked_come_back_together_and_behind_the_others() -> Outcome {
    const PARKED: i64 = 300;
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let mut database = world.reservation_database().await;
    let rested = "insert into outbox_parked (outbox_id, kind, subject, booking_ids, attempts, created_at, parked_at,
                                             failure)
                  select -n, 'settle', 'MAYBE', array[gen_random_uuid()], array[1], now(), now() - interval '1 hour',
                         'a test'
                  from generate_series(1, $1) as n";
    sqlx::query(rested).bind(PARKED).execute(&mut database).await?;
    stack.reservation().restart().expect("it comes back");

    eventually("each was tried, under a new id, and parked again", PATIENCE, async || {
        let found = "select count(*) filter (where outbox_id > 0), count(*) from outbox_parked";
        let found: (i64, i64) = sqlx::query_as(found).fetch_one(&mut database).await.expect("it can be read");
        when(found == (PARKED, PARKED), found)
    })
    .await;
    Ok(())
}
