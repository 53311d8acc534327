//! A damaged row of each kind, while traffic runs: found by its ids, and nothing else is.

mod bookings;
mod goods;
mod holds;

use std::{collections::BTreeSet, time::Duration};

use proto::catalog::{Product, SeatMap};
use proto::reservation::BookingState;
use sqlx::AssertSqlSafe;
use stack::Schema;
use system_tests::{
    Outcome, PATIENCE, Stock, Traffic, World, audit_program, eventually, hasty, own, seat, units, when,
};

/// Constraints that keep such damage out: gone, as after a restore by hand.
const CATALOG_CONSTRAINTS: &str = "alter table products drop constraint products_never_oversold;
     alter table holds drop constraint holds_reviewed_while_active, drop constraint holds_state_check;
     alter table seats drop constraint seats_taken_by_one_hold;";
const RESERVATION_CONSTRAINTS: &str =
    "alter table booking_history drop constraint history_confirmed_before_deadline;";

/// A rule that is broken, and ids of what breaks it.
type Find = (&'static str, Vec<(&'static str, String)>);

/// Damage to a row, how to undo it, and what is to be found: rules, each with ids.
struct Damage {
    what: &'static str,
    schema: Schema,
    spoil: String,
    mend: String,
    finds: Vec<Find>,
}

/// One booking in each state, on goods of their own.
struct Shop {
    meal: Product,
    flight: SeatMap,
    limited: Product,
    held: String,
    paid: String,
    refunded: String,
    cancelled: String,
    expired: String,
}

impl Shop {
    async fn open(world: &World) -> Result<Self, tonic::Status> {
        let meal = world.product(100, Duration::from_mins(10)).await;
        let quick = world.product(100, Duration::from_millis(300)).await;
        let flight = world.seat_map(&["1A", "1B", "1C"], Duration::from_mins(10)).await;
        let limited = world.limited_product(100, Duration::from_mins(10), 10).await;
        world.hold(&[units(&limited, 2)]).await?;
        let held = world.hold(&[units(&meal, 3), seat(&flight, "1A")]).await?.booking_id;
        let paid = world.hold(&[units(&meal, 2)]).await?.booking_id;
        world.pay(&paid).await?;
        let refunded = world.hold(&[units(&meal, 4)]).await?.booking_id;
        world.pay(&refunded).await?;
        world.refund(&refunded).await?;
        let cancelled = world.hold(&[units(&meal, 5), seat(&flight, "1C")]).await?.booking_id;
        world.cancel(&cancelled).await?;
        let expired = world.hold(&[units(&quick, 1)]).await?.booking_id;
        world.await_state(&expired, BookingState::Expired).await;
        world.await_stock(&quick, Stock::new(100, 0, 0)).await;
        world.await_stock(&meal, Stock::new(100, 3, 2)).await;
        Ok(Self { meal, flight, limited, held, paid, refunded, cancelled, expired })
    }

    fn product(&self) -> Find {
        ("PRODUCT_COUNTS", vec![("product_id", self.meal.product_id.clone())])
    }

    fn seat(&self, label: &str, booking: &str) -> Find {
        let map = self.flight.seat_map_id.clone();
        (
            "SEAT_OWNER",
            vec![("seat_map_id", map), ("label", label.to_owned()), ("booking_id", booking.to_owned())],
        )
    }
}

/// A rule that is broken by a hold of this booking.
fn hold(rule: &'static str, booking: &str) -> Find {
    (rule, vec![("booking_id", booking.to_owned()), ("attempt", "1".to_owned())])
}

/// A rule that is broken by this booking.
fn booking(rule: &'static str, booking: &str) -> Find {
    (rule, vec![("booking_id", booking.to_owned())])
}

/// Of the catalog.
fn in_catalog(what: &'static str, spoil: String, mend: String) -> Damage {
    Damage { what, schema: Schema::Catalog, spoil, mend, finds: Vec::new() }
}

/// Of reservation.
fn in_reservation(what: &'static str, spoil: String, mend: String) -> Damage {
    Damage { what, schema: Schema::Reservation, spoil, mend, finds: Vec::new() }
}

/// The rows of a booking.
fn of(id: &str) -> String {
    format!("where booking_id = '{id}'")
}

impl Damage {
    fn finds(mut self, found: Find) -> Self {
        self.finds.push(found);
        self
    }

    async fn run(&self, world: &World, sql: &str) {
        run(world, self.schema, sql).await;
    }
}

/// Runs statements as one transaction.
async fn run(world: &World, schema: Schema, sql: &str) {
    let mut database = match schema {
        Schema::Catalog => world.catalog_database().await,
        Schema::Reservation => world.reservation_database().await,
    };
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut database).await.expect("the statements are valid");
}

/// What was found is what the damage is to be found as, and no more.
fn assert_found(damage: &Damage, report: &audit::Report) {
    let rules: BTreeSet<&str> = report.violations.keys().copied().collect();
    let wanted: BTreeSet<&str> = damage.finds.iter().map(|(rule, _)| *rule).collect();
    assert_eq!(rules, wanted, "{}: {report}", damage.what);
    for (rule, ids) in &damage.finds {
        let of_all =
            |violation: &&audit::Violation| ids.iter().all(|(name, id)| violation.ids.get(*name) == Some(id));
        assert!(report.violations[rule].listed.iter().any(|v| of_all(&v)), "{}: {report}", damage.what);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_of_each_kind_is_found_by_its_ids_while_traffic_runs() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    run(&world, Schema::Catalog, CATALOG_CONSTRAINTS).await;
    run(&world, Schema::Reservation, RESERVATION_CONSTRAINTS).await;
    let shop = Shop::open(&world).await?;
    world.assert_settles().await;
    assert_pages_of_any_size_cover_everything(&world).await;

    let traffic = Traffic::start(&world, 6).await;
    let options =
        audit::Options { overdue_limit_ms: 120_000, second_look_ms: 1_000, ..world.audit_options() };
    for damages in [
        goods::damages(&shop),
        holds::verdicts(&shop),
        holds::oddities(&shop),
        holds::claims(&shop),
        holds::leftovers(&shop),
        bookings::histories(&shop),
        bookings::times_and_payments(&shop),
    ] {
        traffic.await_progress().await;
        for damage in damages {
            damage.run(&world, &damage.spoil).await;
            assert_found(&damage, &audit::run(&options).await?);
            damage.run(&world, &damage.mend).await;
        }
    }
    let report = audit::run(&options).await?;
    assert!(report.is_sound(), "{report}");

    // As the command, and in the metrics of the service that finds it.
    let damage = goods::damages(&shop).into_iter().next().expect("there is one");
    damage.run(&world, &damage.spoil).await;
    let verdict = audit_program(&world, &["--overdue-limit-ms", "120000"]);
    assert_eq!(verdict.status, Some(1), "{verdict:?}");
    let listed = &verdict.report["violations"]["PRODUCT_COUNTS"]["listed"][0]["ids"]["product_id"];
    assert_eq!(listed.as_str(), Some(&*shop.meal.product_id), "{verdict:?}");
    damage.run(&world, &damage.mend).await;
    assert_eq!(audit_program(&world, &["--overdue-limit-ms", "120000"]).status, Some(0));
    let metrics = stack.catalog().get("/metrics").expect("it answers").body;
    let counted = |rule: &str| {
        let label = format!("rule=\"{rule}\"");
        let of_rule =
            |line: &&str| line.starts_with("holdfast_audit_violations_total") && line.contains(&label);
        let value = metrics.lines().find(of_rule).and_then(|line| line.rsplit_once(' '));
        value.and_then(|(_, value)| value.parse::<u64>().ok())
    };
    assert!(counted("PRODUCT_COUNTS") >= Some(2) && counted("SEAT_OWNER") >= Some(4), "{metrics}");
    assert!(metrics.contains("holdfast_audit_completed_timestamp_seconds"), "{metrics}");

    traffic.finish(&world).await;
    world.assert_settles().await;
    Ok(())
}

/// Pages of one and pages of all come to the same.
async fn assert_pages_of_any_size_cover_everything(world: &World) {
    let checked = async |page| {
        let report = audit::run(&audit::Options { page, ..world.audit_options() }).await;
        let audit::Checked { products, seats, holds, bookings } = report.expect("it can be audited").checked;
        [products, seats, holds, bookings]
    };
    eventually("pages of all sizes agree", PATIENCE, async || {
        let found = [checked(1).await, checked(2).await, checked(5_000).await];
        when(found == [[3, 3, 6, 6]; 3], found)
    })
    .await;
}
