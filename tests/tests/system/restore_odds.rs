//! The repair where there is much, or something odd: many pages, attempts before the last, rows that make no sense, and holds
//! that were sold without a payment.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use proto::{catalog::Product, reservation::BookingState};
use sqlx::{AssertSqlSafe, PgConnection};
use stack::{Options, Schema};
use system_tests::{Backup, Outcome, Stock, World, hasty, own, repair, seat, units};
use tokio::task::block_in_place;

use crate::restore::restore;

const LONG: Duration = Duration::from_mins(10);
/// More than the repair has in hand at a time.
const MANY: usize = 520;

async fn change(database: &mut PgConnection, statement: String) {
    let done = sqlx::raw_sql(AssertSqlSafe(statement)).execute(database).await.expect("nothing forbids it");
    assert_eq!(done.rows_affected(), 1);
}

async fn hold_one(world: &World, product: &Product) -> Result<String, tonic::Status> {
    Ok(world.hold(&[units(product, 1)]).await?.booking_id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_goes_through_every_page_and_every_attempt() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(1_000, LONG).await;
    let flight = world.seat_map(&["1A"], LONG).await;
    let again = world.hold(&[units(&meal, 5), seat(&flight, "1A")]).await?.booking_id;
    let backup = block_in_place(|| Backup::take(&stack, Schema::Catalog));
    // Since then its first attempt came to nothing, and its second took the same.
    let attempt = |table| format!("update {table} set attempt = 2 where booking_id = '{again}'");
    let mut catalog = world.catalog_database().await;
    change(&mut catalog, attempt("seats")).await;
    change(&mut catalog, attempt("holds")).await;
    change(&mut world.reservation_database().await, attempt("bookings")).await;
    let holds = (0..MANY).map(|_| hold_one(&world, &meal));
    let held: Vec<String> = stream::iter(holds).buffer_unordered(32).try_collect().await?;
    world.pay(&held[0]).await?;
    world.cancel(&held[1]).await?;
    world.assert_settles().await;
    let before = (world.stock(&meal).await, world.seat_states(&flight).await);
    drop(catalog);

    restore(&stack, &backup, Schema::Catalog);
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(0), "{repaired:?}");
    let wanted = format!("{} bookings: {MANY} holds restored", MANY + 1);
    assert!(repaired.summary().starts_with(&wanted), "{repaired:?}");
    world.assert_settles().await;
    assert_eq!((world.stock(&meal).await, world.seat_states(&flight).await), before);
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_makes_no_sense_stops_the_repair_of_no_other() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, LONG).await;
    let (paid, cancelled) = (hold_one(&world, &meal).await?, hold_one(&world, &meal).await?);
    let backup = block_in_place(|| Backup::take(&stack, Schema::Catalog));
    world.pay(&paid).await?;
    world.cancel(&cancelled).await?;
    let unreadable = hold_one(&world, &meal).await?;
    let sound = [hold_one(&world, &meal).await?, hold_one(&world, &meal).await?];
    world.assert_settles().await;
    let nonsense = |table, id: &str| format!("update {table} set lines = '[{{}}]' where booking_id = '{id}'");
    change(&mut world.reservation_database().await, nonsense("bookings", &unreadable)).await;

    restore(&stack, &backup, Schema::Catalog);
    for id in [&paid, &cancelled] {
        change(&mut world.catalog_database().await, nonsense("holds", id)).await;
    }
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(1), "{repaired:?}");
    assert!(repaired.names(&paid, "CONFIRMED: its hold makes no sense"), "{repaired:?}");
    assert!(repaired.names(&cancelled, "CANCELLED: the catalog fails at it"), "{repaired:?}");
    assert!(repaired.names(&unreadable, "unreadable"), "{repaired:?}");
    // Each of them once; and the others are helped.
    assert_eq!(repaired.lines.len(), 4, "{repaired:?}");
    assert!(repaired.summary().contains("2 holds restored"), "{repaired:?}");
    for id in &sound {
        assert_eq!(world.get(id).await?.state(), BookingState::Held);
        world.pay(id).await?;
    }
    Ok(())
}

/// The catalog knows of a payment that reservation has lost: nobody else gets what was paid for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sold_is_not_released_for_a_booking_that_has_forgotten_its_payment() -> Outcome {
    // Without the expirer, as the guide has it: it would carry the verdict over before.
    let stack = own(Options { expirers: 0, ..Options::default() }).await;
    let world = World::of(&stack);
    let short = world.product(10, Duration::from_secs(2)).await;
    let (late, expired) = (world.hold(&[units(&short, 1)]).await?, hold_one(&world, &short).await?);
    let reservation = block_in_place(|| Backup::take(&stack, Schema::Reservation));
    world.pay(&late.booking_id).await?;
    world.pay(&expired).await?;
    world.await_stock(&short, Stock::new(10, 0, 2)).await;

    restore(&stack, &reservation, Schema::Reservation);
    // One has run out before the repair, the other does so in its course.
    change(
        &mut world.reservation_database().await,
        format!("update bookings set state = 'EXPIRED', expired_at = now() where booking_id = '{expired}'"),
    )
    .await;
    world.await_clock(late.expire_time.expect("it has one")).await;
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(1), "{repaired:?}");
    for id in [&late.booking_id, &expired] {
        assert!(repaired.names(id, "EXPIRED: its hold is COMMITTED: the catalog is newer"), "{repaired:?}");
    }
    assert_eq!(world.stock(&short).await, Stock::new(10, 0, 2));
    Ok(())
}
