//! Metrics: the page about them and what runs say the same.

use std::time::Duration;

use proto::reservation::BookingState;
use stack::ServiceKind;
use system_tests::{
    Outcome, PATIENCE, World, audit_program, eventually,
    exposition::{Families, differences, read_exported, read_promised},
    shared, units,
};

const PAGE: &str = include_str!("../../../docs/metrics.md");

/// What the processes of a kind export together.
fn exported(kind: ServiceKind) -> Families {
    let mut families = Families::new();
    for service in shared().services().iter().filter(|service| service.kind() == kind) {
        let metrics = service.get("/metrics").expect("it serves its metrics").body;
        read_exported(&metrics, &mut families);
    }
    families
}

/// The life of a booking that is extended and runs out, and an audit, make everything be counted at least once.
#[tokio::test(flavor = "multi_thread")]
async fn every_metric_is_documented_and_everything_documented_is_exported() -> Outcome {
    let world = World::shared();
    let meal = world.product(10, Duration::from_millis(900)).await;
    let booking = world.hold(&[units(&meal, 1)]).await?;
    world.extend(&booking.booking_id, Duration::from_millis(1_600)).await?;
    world.await_state(&booking.booking_id, BookingState::Expired).await;
    let audited = audit_program(&world, &[]);
    assert!(audited.status.is_some_and(|status| status < 2), "{audited:?}");

    for (kind, promised) in read_promised(PAGE) {
        assert!(promised.len() > 20, "the page was read: {}", promised.len());
        eventually("the page and what runs say the same", PATIENCE, async || {
            let found = differences(&exported(kind), &promised);
            if found.is_empty() { Ok(()) } else { Err((kind, found)) }
        })
        .await;
    }
    Ok(())
}

/// So that what never happened is 0, and not unknown: rates and alerts need that.
#[test]
fn what_can_be_counted_is_counted_from_the_start() {
    for (service, series) in [
        (shared().catalog(), ["holdfast_holds_total", "TOTAL_TOO_LARGE"]),
        (shared().catalog(), ["holdfast_settlements_total", "verdict=\"review\""]),
        (shared().expirer(), ["holdfast_verdicts_total", "verdict=\"not_due\""]),
        (shared().reservation(), ["holdfast_outbox_parked", "kind=\"settle\""]),
    ] {
        let metrics = service.get("/metrics").expect("it serves its metrics").body;
        let found = metrics.lines().any(|line| series.iter().all(|part| line.contains(part)));
        assert!(found, "{series:?}: {metrics}");
    }
}
