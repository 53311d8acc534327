//! The audit: what is damaged is found, by its ids; what is only under way is not called damage.

use std::time::Duration;

use audit::Options;
use proto::{
    catalog::{
        AuditProductsRequest, AuditSeatsRequest, HoldKey, HoldLine, PlaceHold, PlaceHoldsRequest,
        ProductItem, audit_service_client::AuditServiceClient, hold_line,
    },
    reservation::BookingState,
};
use sqlx::Connection as _;
use stack::{Options as StackOptions, ServiceKind, Shutdown};
use system_tests::{
    Outcome, PATIENCE, World, assert_refused, audit_program, eventually, fresh_id, hasty, own, seat, units,
    when,
};
use tokio::task::block_in_place;
use tonic::Code;

/// With so much time for a hold beyond its deadline, and no second look.
fn strict(world: &World, overdue_limit_ms: u32) -> Options {
    Options { overdue_limit_ms, second_look_ms: 0, ..world.audit_options() }
}

/// The rules that an audit finds broken, with the ids of the holds, as (rule, booking).
async fn broken(options: &Options) -> Vec<(&'static str, String)> {
    let report = audit::run(options).await.expect("the services answer");
    let of = |(rule, broken): (&&'static str, &audit::Broken)| {
        let rule = *rule;
        let id = move |violation: &audit::Violation| (rule, violation.ids["booking_id"].clone());
        broken.listed.iter().map(id).collect::<Vec<_>>()
    };
    report.violations.iter().flat_map(of).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verdicts_that_are_still_on_their_way_are_in_flight_until_they_have_waited_too_long() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_mins(10)).await;
    let flight = world.seat_map(&["1A", "1B"], Duration::from_mins(10)).await;
    let paid = world.hold(&[units(&meal, 2), seat(&flight, "1A")]).await?.booking_id;
    let cancelled = world.hold(&[units(&meal, 3)]).await?.booking_id;
    let refunded = world.hold(&[units(&meal, 4)]).await?.booking_id;
    world.pay(&refunded).await?;
    world.assert_settles().await;

    // The catalog cannot settle anything: its holds are locked.
    let mut catalog = world.catalog_database().await;
    let mut lock = catalog.begin().await?;
    sqlx::query("select from holds for update").execute(&mut *lock).await?;
    world.pay(&paid).await?;
    world.cancel(&cancelled).await?;
    world.refund(&refunded).await?;
    let report = audit::run(&world.audit_options()).await?;
    assert!(report.is_sound(), "{report}");
    assert_eq!((report.in_flight.settling, report.in_flight.looked_at_again), (3, 0), "{report}");
    assert_eq!((report.checked.products, report.checked.seats), (1, 2), "{report}");
    assert_eq!((report.checked.holds, report.checked.bookings), (3, 3), "{report}");

    let mut found = broken(&strict(&world, 0)).await;
    found.sort();
    let mut late = [&paid, &cancelled, &refunded].map(|id| ("SETTLEMENT_CARRIED", id.clone()));
    late.sort();
    assert_eq!(found, late);

    // While they are looked at again they arrive.
    let options = Options { overdue_limit_ms: 0, ..world.audit_options() };
    let auditing = tokio::spawn(async move { audit::run(&options).await });
    lock.rollback().await?;
    let report = auditing.await??;
    assert!(report.is_sound(), "{report}");
    world.assert_settles().await;
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holds_that_nobody_ends_are_overdue_after_the_limit_with_their_ids() -> Outcome {
    let stack = own(StackOptions { expirers: 0, ..hasty() }).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_millis(300)).await;
    let held = world.hold(&[units(&meal, 2)]).await?;
    let (id, orphan) = (held.booking_id, fresh_id());
    let item = ProductItem { product_id: meal.product_id.clone(), quantity: 1 };
    let unclaimed = PlaceHold {
        key: Some(HoldKey { booking_id: orphan.clone(), attempt: 1 }),
        lines: vec![HoldLine { item: Some(hold_line::Item::Product(item)) }],
        ..PlaceHold::default()
    };
    world.holds.clone().place_holds(PlaceHoldsRequest { holds: vec![unclaimed] }).await?;

    let patient = Options { overdue_limit_ms: 3_600_000, ..world.audit_options() };
    let report = audit::run(&patient).await?;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.in_flight.unclaimed, 1, "{report}");

    world.await_clock(held.expire_time.expect("it has a deadline")).await;
    let report = audit::run(&patient).await?;
    assert!(report.is_sound(), "{report}");
    assert_eq!(report.in_flight.due, 1, "{report}");
    let mut wanted = [("HOLD_OVERDUE", id.clone()), ("HOLD_OVERDUE", orphan)];
    wanted.sort();
    eventually("both are found overdue", PATIENCE, async || {
        let mut found = broken(&strict(&world, 200)).await;
        found.sort();
        when(found == wanted, found)
    })
    .await;
    let verdict = audit_program(&world, &["--overdue-limit-ms", "200", "--second-look-ms", "0"]);
    assert_eq!(verdict.status, Some(1), "{verdict:?}");
    let listed = verdict.report["violations"]["HOLD_OVERDUE"]["listed"].to_string();
    assert!(listed.contains(&id) && listed.contains("after its deadline"), "{listed}");

    // An expirer that comes while they are looked at again ends them.
    let options = Options { overdue_limit_ms: 200, ..world.audit_options() };
    let auditing = tokio::spawn(async move { audit::run(&options).await });
    let expirer = block_in_place(|| stack.add(ServiceKind::Expirer, &[]).expect("it starts"));
    let report = auditing.await??;
    assert!(report.is_sound() && report.in_flight.looked_at_again == 2, "{report}");
    world.await_state(&id, BookingState::Expired).await;
    world.assert_settles().await;
    drop(expirer);
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_audited_is_not_called_sound() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(100, Duration::from_mins(10)).await;
    world.hold(&[units(&meal, 2)]).await?;
    let impatient = ["--patience-ms", "300"];
    assert_eq!(audit_program(&world, &[]).status, Some(0));

    // Without the broker everything can still be audited.
    block_in_place(|| stack.rabbitmq().kill());
    assert_eq!(audit_program(&world, &[]).status, Some(0));

    for service in [stack.catalog(), stack.reservation()] {
        block_in_place(|| service.kill());
        let verdict = audit_program(&world, &impatient);
        assert_eq!((verdict.status, verdict.report.is_null()), (Some(2), true), "{verdict:?}");
        let said = format!("not audited: {} did not answer", service.name());
        assert!(verdict.errors.contains(&said), "{verdict:?}");
        block_in_place(|| service.restart().expect("it starts again"));
    }
    block_in_place(|| stack.postgres().stop(Shutdown::Fast));
    let verdict = audit_program(&world, &impatient);
    assert_eq!((verdict.status, verdict.report.is_null()), (Some(2), true), "{verdict:?}");
    block_in_place(|| stack.postgres().restart().expect("it starts again"));
    // With patience it waits until they are back.
    assert_eq!(audit_program(&world, &["--patience-ms", "30000"]).status, Some(0));
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_audit_at_a_time_and_the_next_is_told_to_come_back() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let client = AuditServiceClient::connect(stack.catalog_url()).await?;
    let mut database = world.catalog_database().await;
    let mut lock = database.begin().await?;
    sqlx::query("lock table holds in access exclusive mode").execute(&mut *lock).await?;
    let scan = client.clone().audit_products(AuditProductsRequest {}).await?.into_inner();
    let second = client.clone().audit_seats(AuditSeatsRequest::default()).await;
    assert_refused(second, Code::ResourceExhausted, "OVERLOADED");
    drop(scan);
    lock.rollback().await?;
    eventually("the turn is free again", PATIENCE, async || {
        client.clone().audit_seats(AuditSeatsRequest::default()).await
    })
    .await;
    stack.assert_sound();
    Ok(())
}
