//! Rolling a release out and back: old programs on the new schema, and new programs on the old one.

use std::time::Duration;

use proto::reservation::GetBookingRequest;
use sqlx::{Connection as _, Executor as _, PgConnection, migrate::Migrator};
use stack::{CATALOG_MIGRATOR, RESERVATION_MIGRATOR, Schema, ServiceKind, Stack};
use system_tests::{
    Outcome, PATIENCE, World, broken_rules, broken_statements, eventually, fresh_id, hasty, own, rules,
    shared, units, when,
};
use tokio::task::block_in_place;
use tonic::Request;

pub(crate) fn migrator(schema: Schema) -> &'static Migrator {
    match schema {
        Schema::Catalog => &CATALOG_MIGRATOR,
        Schema::Reservation => &RESERVATION_MIGRATOR,
    }
}

/// A database of its own with the first `count` migrations.
pub(crate) async fn scratch(stack: &Stack, schema: Schema, count: usize) -> PgConnection {
    let name = format!("compat_{}", uuid::Uuid::new_v4().simple());
    block_in_place(|| stack.postgres().create_database(&name).expect("it is created"));
    let mut conn = PgConnection::connect(&stack.postgres().url(&name)).await.expect("it is there");
    let first = migrator(schema).iter().take(count).cloned().collect();
    Migrator::with_migrations(first).run(&mut conn).await.expect("the migrations work");
    conn
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_of_the_last_release_work_on_the_schema_of_this_one() -> Outcome {
    for schema in Schema::ALL {
        let count = migrator(schema).iter().count();
        let mut new = scratch(shared(), schema, count).await;
        assert_eq!(broken_statements(schema.name(), &mut new).await, Vec::<String>::new());
        for before in 1..count {
            let old = rules(&mut scratch(shared(), schema, before).await).await;
            let broken = broken_rules(&old, &rules(&mut new).await);
            assert_eq!(broken, Vec::<String>::new(), "{} since migration {before}", schema.name());
        }
    }
    Ok(())
}

/// A trigger, of which the schema has none.
const WATCHED: &str = "create function watch() returns trigger language plpgsql as 'begin return new; end';
     create trigger watched before insert on payments for each row execute function watch()";

/// The test above is worth something: it finds whatever must not be done to a schema in one step.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_breaks_programs_of_the_last_release_is_found() -> Outcome {
    let statements = [
        "alter table bookings drop column asked_ttl_ms",
        "alter table bookings rename column customer_id to buyer_id",
        "alter table payments rename to receipts",
        "alter table bookings alter column attempt type bigint",
        "alter table bookings alter column customer_id drop not null",
    ];
    let rows = [
        "alter table bookings add column channel text not null",
        "alter table bookings add constraint bookings_small check (total_minor < 100)",
        "create unique index bookings_one_per_customer on bookings (customer_id)",
        "alter table booking_history alter column from_state set not null",
        // Under the names that they had.
        "alter table bookings drop constraint bookings_state_check,
             add constraint bookings_state_check check (state in ('INITIATED', 'HELD', 'CONFIRMED'))",
        "drop index bookings_refund_key; create unique index bookings_refund_key on bookings (refund_id) nulls not distinct",
        "drop index bookings_customer_idx; create unique index bookings_customer_idx on bookings (customer_id)",
        "drop trigger watched on payments;
             create trigger watched before insert or update on payments for each row execute function watch()",
        "create or replace function watch() returns trigger language plpgsql as 'begin return null; end'",
    ];
    let harmless = [
        "alter table bookings add column channel text",
        "alter table bookings add column source text not null default 'web'",
        "create table vouchers (voucher_id uuid primary key)",
        "create index bookings_created_idx on bookings (created_at)",
        "alter table bookings drop constraint bookings_refund_named",
    ];
    let count = RESERVATION_MIGRATOR.iter().count();
    let mut conn = scratch(shared(), Schema::Reservation, count).await;
    sqlx::raw_sql(WATCHED).execute(&mut conn).await?;
    let before = rules(&mut conn).await;
    let all = statements.map(|sql| (sql, true, false)).into_iter().chain(rows.map(|sql| (sql, false, true)));
    for (sql, breaks_statements, breaks_rows) in all.chain(harmless.map(|sql| (sql, false, false))) {
        let mut undone = conn.begin().await?;
        sqlx::raw_sql(sql).execute(&mut *undone).await?;
        let statements = broken_statements("reservation", &mut undone).await;
        let rows = broken_rules(&before, &rules(&mut undone).await);
        assert!(!breaks_statements || !statements.is_empty(), "no statement is broken by {sql}");
        assert!(!breaks_rows || !rows.is_empty(), "no row is refused after {sql}");
        let is_harmless = !breaks_statements && !breaks_rows;
        assert!(!is_harmless || (statements.is_empty() && rows.is_empty()), "{sql}: {statements:?} {rows:?}");
        undone.rollback().await?;
        conn.clear_cached_statements().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_program_on_the_old_schema_waits_for_the_migration_and_says_so() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(5)).await;
    let last = RESERVATION_MIGRATOR.iter().last().expect("there are migrations");
    block_in_place(|| stack.reservation().stop());
    let postgres = stack.postgres();
    block_in_place(|| postgres.query("postgres", "drop database reservation with (force)"))
        .expect("the database goes");
    let schema = Schema::Reservation;
    block_in_place(|| postgres.prepare(schema)).expect("it is created");
    let mut conn = PgConnection::connect(&postgres.url_as(schema.owner(), schema.name())).await?;
    let all: Vec<_> = RESERVATION_MIGRATOR.iter().cloned().collect();
    Migrator::with_migrations(all[..all.len() - 1].to_vec()).run(&mut conn).await?;
    conn.execute("grant select on _sqlx_migrations to reservation").await?;

    block_in_place(|| stack.reservation().spawn().expect("it can be started"));
    eventually("it says which migration is missing", PATIENCE, async || {
        let said = stack.reservation().get("/readyz").map(|answer| (answer.status, answer.body));
        let missing = format!("not migrated yet: {:04} {}", last.version, last.description);
        when(
            said.as_ref().is_ok_and(|(status, body)| *status == 503 && body.contains(&missing)),
            format!("{said:?}"),
        )
    })
    .await;
    let mut request = Request::new(GetBookingRequest { booking_id: fresh_id() });
    request.set_timeout(Duration::from_millis(500));
    let unserved = world.bookings.clone().get_booking(request).await.expect_err("it serves nothing");
    assert_ne!(unserved.code(), tonic::Code::NotFound, "{unserved:?}");

    // It goes on by itself.
    block_in_place(|| stack.migrate_with(ServiceKind::Reservation, &[])).expect("it is migrated");
    block_in_place(|| stack.reservation().wait_ready(PATIENCE)).expect("it is ready");
    world.hold(&[units(&meal, 1)]).await?;
    stack.assert_sound();
    Ok(())
}
