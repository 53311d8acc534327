//! Backups that are older than what happened since, and the repair (docs/operating.md): what is lost is put back, and what
//! cannot be is named.

use std::{collections::BTreeSet, time::Duration};

use audit::Options;
use failpoint::{Program, Step};
use futures::join;
use prost_types::FieldMask;
use proto::{
    catalog::{CreateProductRequest, Product, SeatMap, UpdateProductRequest},
    reservation::BookingState,
};
use stack::{Schema, Stack};
use system_tests::{Armed, Backup, Outcome, World, euros, hasty, own, repair, sample_product, seat, units};
use tokio::task::block_in_place;
use tonic::Code;

const LONG: Duration = Duration::from_mins(10);

/// The step of the repair is walked here.
pub(crate) fn is_walked_here(step: Step) -> bool {
    step == Step::RestoreRecorded
}

/// The rules that an audit finds broken, with the bookings that break them, in their order.
async fn broken(world: &World) -> BTreeSet<(&'static str, String)> {
    let options = Options { second_look_ms: 500, ..world.audit_options() };
    let report = audit::run(&options).await.expect("the services answer");
    let of = |(rule, broken): (&&'static str, &audit::Broken)| {
        let rule = *rule;
        broken.listed.iter().map(move |found| (rule, found.ids["booking_id"].clone())).collect::<Vec<_>>()
    };
    report.violations.iter().flat_map(of).collect()
}

/// Restores one database while the services that use it are away.
pub(crate) fn restore(stack: &Stack, backup: &Backup, schema: Schema) {
    block_in_place(|| {
        let mut users = vec![stack.reservation()];
        if schema == Schema::Catalog {
            users.push(stack.catalog());
        }
        for service in &users {
            service.stop();
        }
        backup.restore(stack);
        for service in users.iter().rev() {
            service.restart().expect("it starts again");
        }
    });
}

async fn set_price(world: &World, product: &Product, minor_units: i64) {
    let product = Product { price: Some(euros(minor_units)), ..product.clone() };
    let update_mask = Some(FieldMask { paths: vec!["price".to_owned()] });
    let request = UpdateProductRequest { product: Some(product), update_mask };
    world.catalog.clone().update_product(request).await.expect("the price can be set");
}

/// Bookings of all kinds, begun before the backup and after it.
struct Sales {
    meal: Product,
    flight: SeatMap,
    backup: Backup,
    /// Begun before it and decided after it: their holds are there, their verdicts are lost.
    decided: Vec<String>,
    /// Begun after it, and live: their holds are lost.
    lost: Vec<String>,
}

/// Sells before and after a backup.
async fn sell(stack: &Stack, world: &World) -> Result<Sales, tonic::Status> {
    let meal = world.product(100, LONG).await;
    let quick = world.product(100, Duration::from_secs(2)).await;
    let flight = world.seat_map(&["1A", "1B", "1C", "1D"], LONG).await;
    let paid = world.hold(&[units(&meal, 2), seat(&flight, "1A")]).await?.booking_id;
    let cancelled = world.hold(&[units(&meal, 3), seat(&flight, "1B")]).await?.booking_id;
    let refunded = world.hold(&[units(&meal, 5)]).await?.booking_id;
    world.pay(&refunded).await?;
    let kept = world.hold(&[units(&meal, 4)]).await?.booking_id;
    world.pay(&kept).await?;
    world.hold(&[units(&meal, 1)]).await?;
    let expired = world.hold(&[units(&quick, 1)]).await?.booking_id;
    world.assert_settles().await;

    let backup = block_in_place(|| Backup::take(stack, Schema::Catalog));

    world.pay(&paid).await?;
    world.cancel(&cancelled).await?;
    world.refund(&refunded).await?;
    let held = world.hold(&[units(&meal, 6), seat(&flight, "1C")]).await?.booking_id;
    let paid_after = world.hold(&[units(&meal, 7), seat(&flight, "1D")]).await?.booking_id;
    world.pay(&paid_after).await?;
    let paying = world.hold(&[units(&meal, 1)]).await?.booking_id;
    world.start_payment(&paying).await?;
    // At another price than the catalog of the backup has.
    set_price(world, &meal, 999).await;
    let dear = world.hold(&[units(&meal, 2)]).await?.booking_id;
    let gone = world.hold(&[units(&meal, 8)]).await?.booking_id;
    world.cancel(&gone).await?;
    world.draft(&[units(&meal, 1)]).await?;
    world.await_state(&expired, BookingState::Expired).await;
    world.assert_settles().await;
    let (decided, lost) = (vec![paid, cancelled, refunded], vec![held, paid_after, paying, dear]);
    Ok(Sales { meal, flight, backup, decided, lost })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_that_was_restored_from_an_older_backup_is_repaired_from_the_bookings() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let sales = sell(&stack, &world).await?;
    let before = (world.stock(&sales.meal).await, world.seat_states(&sales.flight).await);

    // The repair holds out when the catalog dies or fails in the midst of it.
    for action in ["abort", "error"] {
        restore(&stack, &sales.backup, Schema::Catalog);
        let carried = sales.decided.iter().map(|id| ("SETTLEMENT_CARRIED", id.clone()));
        let missing = sales.lost.iter().map(|id| ("BOOKING_HAS_HOLD", id.clone()));
        assert_eq!(broken(&world).await, carried.chain(missing).collect());

        let armed = Armed::start(&stack, Program::Catalog, Step::RestoreRecorded, action).await;
        let (repaired, ()) = join!(repair(&stack), armed.revived());
        assert_eq!(repaired.status, Some(0), "{repaired:?}");
        let (restored, left) = (format!("{} holds restored", sales.lost.len()), "0 not to be helped");
        assert!(repaired.summary().contains(&restored), "{repaired:?}");
        assert!(repaired.summary().ends_with(left), "{repaired:?}");
        world.assert_settles().await;
        let after = (world.stock(&sales.meal).await, world.seat_states(&sales.flight).await);
        assert_eq!(after, before);
    }

    // Done again it changes nothing.
    let again = repair(&stack).await;
    let nothing = "0 holds restored, 0 settled, 0 not to be helped";
    assert!(again.status == Some(0) && again.summary().ends_with(nothing), "{again:?}");
    // What was put back lives on: it can be paid, and paid back.
    world.pay(&sales.lost[0]).await?;
    world.refund(&sales.lost[1]).await?;
    world.assert_settles().await;
    world.assert_books_balance(&sales.meal).await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_gave_back_and_another_bought_since_the_backup_is_the_others_after_the_repair() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(2, LONG).await;
    let flight = world.seat_map(&["1A"], LONG).await;
    let alice = world.hold(&[seat(&flight, "1A"), units(&meal, 2)]).await?.booking_id;
    let backup = block_in_place(|| Backup::take(&stack, Schema::Catalog));
    world.cancel(&alice).await?;
    world.assert_settles().await;
    // All there is, and the backup says that Alice has it.
    let bob = world.hold(&[seat(&flight, "1A"), units(&meal, 2)]).await?.booking_id;
    world.pay(&bob).await?;
    world.assert_settles().await;
    let before = (world.stock(&meal).await, world.seat_states(&flight).await);

    restore(&stack, &backup, Schema::Catalog);
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(0), "{repaired:?}");
    assert!(repaired.summary().contains("1 holds restored"), "{repaired:?}");
    world.assert_settles().await;
    assert_eq!((world.stock(&meal).await, world.seat_states(&flight).await), before);
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_repair_cannot_put_back_it_names_and_the_audit_names_the_same() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, LONG).await;
    let flight = world.seat_map(&["1A", "1B"], LONG).await;
    let backup = block_in_place(|| Backup::take(&stack, Schema::Catalog));
    let wine = sample_product();
    let wine_id = system_tests::fresh_id();
    world.create_product(&wine_id, wine.clone()).await?;
    let wine = Product { product_id: wine_id.clone(), ..wine };
    let alice = world.hold(&[seat(&flight, "1A")]).await?.booking_id;
    world.pay(&alice).await?;
    let bob = world.hold(&[units(&meal, 6)]).await?.booking_id;
    let carol = world.hold(&[units(&wine, 1)]).await?.booking_id;
    world.pay(&carol).await?;
    let dora = world.hold(&[units(&meal, 3), seat(&flight, "1B")]).await?.booking_id;

    // Customers come before the repair: the catalog sells what it does not know to be sold.
    restore(&stack, &backup, Schema::Catalog);
    let eve = world.hold(&[seat(&flight, "1A"), units(&meal, 5)]).await?.booking_id;
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(1), "{repaired:?}");
    assert!(repaired.names(&alice, "CONFIRMED: SEAT_TAKEN label=1A"), "{repaired:?}");
    assert!(repaired.names(&bob, "HELD: INSUFFICIENT_STOCK available="), "{repaired:?}");
    assert!(repaired.names(&carol, "CONFIRMED: PRODUCT_NOT_FOUND"), "{repaired:?}");
    assert!(repaired.summary().contains("1 holds restored"), "{repaired:?}");
    let missing = |ids: &[&String]| ids.iter().map(|id| ("BOOKING_HAS_HOLD", (*id).clone())).collect();
    assert_eq!(broken(&world).await, missing(&[&alice, &bob, &carol]));
    assert_eq!(world.get(&dora).await?.state(), BookingState::Held);

    // What the operator had made since the backup is made again, by the same call; then it can be put back.
    let request = CreateProductRequest { product_id: wine_id, product: Some(sample_of(&wine)) };
    world.catalog.clone().create_product(request).await?;
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(1), "{repaired:?}");
    assert_eq!(broken(&world).await, missing(&[&alice, &bob]));
    // And for whom nothing is left, that is said.
    world.refund(&alice).await?;
    world.cancel(&bob).await?;
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(0), "{repaired:?}");
    world.assert_settles().await;
    assert_eq!(world.get(&eve).await?.state(), BookingState::Held);
    stack.assert_sound();
    Ok(())
}

/// As it was asked for.
fn sample_of(product: &Product) -> Product {
    Product { product_id: String::new(), ..product.clone() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reservation_that_is_older_than_the_catalog_is_found_and_mended_by_an_older_catalog() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, LONG).await;
    let flight = world.seat_map(&["1A", "1B"], LONG).await;
    let bob = world.hold(&[units(&meal, 2)]).await?.booking_id;
    // The order of backups: the catalog first.
    let catalog = block_in_place(|| Backup::take(&stack, Schema::Catalog));
    let carol = world.hold(&[units(&meal, 3)]).await?.booking_id;
    let reservation = block_in_place(|| Backup::take(&stack, Schema::Reservation));
    let alice = world.hold(&[seat(&flight, "1A")]).await?.booking_id;
    world.pay(&alice).await?;
    world.pay(&bob).await?;
    world.cancel(&carol).await?;
    world.assert_settles().await;

    // The catalog knows what reservation does not: sold to nobody, sold to one who has not paid, free and held.
    restore(&stack, &reservation, Schema::Reservation);
    let found = [&alice, &bob, &carol].map(|id| ("HOLD_VERDICT", id.clone()));
    assert_eq!(broken(&world).await, found.into());
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(1), "{repaired:?}");
    assert!(repaired.names(&bob, "its hold is COMMITTED: the catalog is newer"), "{repaired:?}");
    assert!(repaired.names(&carol, "its hold is RELEASED: the catalog is newer"), "{repaired:?}");

    // The catalog that was backed up before follows from the bookings.
    restore(&stack, &catalog, Schema::Catalog);
    let repaired = repair(&stack).await;
    assert_eq!(repaired.status, Some(0), "{repaired:?}");
    world.assert_settles().await;
    let states = [world.get(&bob).await?.state(), world.get(&carol).await?.state()];
    assert_eq!(states, [BookingState::Held, BookingState::Held]);
    // What came after both backups is lost in both.
    assert_eq!(world.get(&alice).await.expect_err("nobody knows it").code(), Code::NotFound);
    world.hold(&[seat(&flight, "1A")]).await?;
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}
