//! Roles of the databases: each service can do its work with its own, and nothing else.

use sqlx::{Connection as _, Executor as _, PgConnection};
use stack::{Schema, ServiceKind, Stack};
use system_tests::{Outcome, PATIENCE, eventually, hasty, own, shared, when};
use tokio::task::block_in_place;

/// What the stack's databases are reached with by this role.
async fn connect(role: &str, database: &str) -> sqlx::Result<PgConnection> {
    PgConnection::connect(&shared().postgres().url_as(role, database)).await
}

/// The code of the error that the database answers with; empty if it answers.
async fn refusal(connection: &mut PgConnection, sql: &'static str) -> String {
    match connection.execute(sql).await {
        Ok(_) => String::new(),
        Err(error) => {
            let code = error.as_database_error().and_then(|error| error.code().map(String::from));
            code.unwrap_or_else(|| error.to_string())
        }
    }
}

const NO_RIGHT: &str = "42501";

fn both() -> [(Schema, Schema); 2] {
    [(Schema::Catalog, Schema::Reservation), (Schema::Reservation, Schema::Catalog)]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_service_can_reach_the_other_ones_database() -> Outcome {
    for (own, other) in both() {
        connect(own.role(), own.name()).await?.close().await?;
        for role in [own.role(), own.owner()] {
            let error = connect(role, other.name()).await.expect_err("it is the other one's");
            let code = error.as_database_error().and_then(|error| error.code().map(String::from));
            assert_eq!(code.as_deref(), Some(NO_RIGHT), "{role} in {}: {error}", other.name());
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_can_neither_change_its_schema_nor_empty_its_tables() -> Outcome {
    for (schema, statements) in [
        (
            Schema::Catalog,
            [
                "alter table products add column x int",
                "drop table stock_adjustments",
                "truncate holds",
                "delete from holds",
                "update stock_adjustments set delta = 0",
                "drop function take_all(bigint, bigint)",
            ],
        ),
        (
            Schema::Reservation,
            [
                "alter table bookings drop constraint bookings_pkey cascade",
                "drop table payments",
                "truncate outbox",
                "delete from bookings",
                "update booking_history set to_state = 'CONFIRMED'",
                "update payments set outcome = 'ACCEPTED'",
            ],
        ),
    ] {
        let mut connection = connect(schema.role(), schema.name()).await?;
        for statement in statements.into_iter().chain([
            "create table x (y int)",
            "create temporary table x (y int)",
            "create schema x",
            "create role x",
            "delete from _sqlx_migrations",
            "update _sqlx_migrations set success = false",
            "grant all on all tables in schema public to public",
            "copy (select 1) to program 'true'",
        ]) {
            let mut attempt = connection.begin().await?;
            let said = refusal(&mut attempt, statement).await;
            attempt.rollback().await?;
            // To grant what is not one's own is no error, and changes nothing.
            let granted = statement.starts_with("grant") && said.is_empty();
            assert!(said == NO_RIGHT || granted, "{statement} by {}: {said:?}", schema.role());
        }
        assert_eq!(refusal(&mut connection, "select version from _sqlx_migrations").await, "");
        connection.close().await?;
    }
    Ok(())
}

/// A stack of its own: what is compared here is what others change meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rights_come_with_the_schema_stay_by_repeats_and_are_all_that_the_services_use() -> Outcome {
    let stack = own(hasty()).await;
    for schema in Schema::ALL {
        eventually("services connect with their own roles and with no other", PATIENCE, async || {
            let roles = block_in_place(|| roles_of_sessions(&stack, schema));
            when(roles == schema.role(), roles)
        })
        .await;
    }
    a_new_table_is_the_services_at_once(&stack).await?;
    for (schema, kind) in
        [(Schema::Catalog, ServiceKind::Catalog), (Schema::Reservation, ServiceKind::Reservation)]
    {
        block_in_place(|| {
            let before = rights(&stack, schema);
            // More than a service is to have is taken from it.
            let more = format!(
                "grant create on schema public to {role}; grant all on all tables in schema public to {role};
                 grant all on all sequences in schema public to {role}; grant create on database {role} to {role}",
                role = schema.role()
            );
            stack.postgres().query(schema.name(), &more).expect("the superuser may");
            assert_ne!(rights(&stack, schema), before);
            stack.migrate_with(kind, &[]).expect("a repeat is a success");
            assert_eq!(rights(&stack, schema), before);
            // `=` without a role before it is what everybody may.
            assert!(!before.contains("{=") && !before.contains(",="), "{before}");
            // The owner keeps what it has when it is named as the service as well.
            let owner = stack.postgres().url_as(schema.owner(), schema.name());
            let env = [("HOLDFAST_DATABASE_URL", &*owner), ("HOLDFAST_MIGRATE_URL", &*owner)];
            assert!(stack.migrate_with(kind, &env).is_err());
            assert_eq!(rights(&stack, schema), before);
        });
    }
    stack.assert_sound();
    Ok(())
}

/// Who the services are to the database.
fn roles_of_sessions(stack: &Stack, schema: Schema) -> String {
    let sql = "select string_agg(distinct usename, ',') from pg_stat_activity
               where datname = current_database() and application_name like 'holdfast-%'";
    stack.postgres().query(schema.name(), sql).expect("the superuser may look")
}

/// What anybody may do in a database: the grants of its tables and sequences, of its schema, and of itself.
fn rights(stack: &Stack, schema: Schema) -> String {
    let sql = "select string_agg(relname || ' ' || coalesce(relacl::text, ''), ', ' order by relname)
                 from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'S')
               union all select datacl::text from pg_database where datname = current_database()
               union all select array_remove(nspacl, '=U/pg_database_owner')::text from pg_namespace where nspname = 'public'";
    stack.postgres().query(schema.name(), sql).expect("the superuser may look")
}

/// What a later migration makes is the service's from its first moment: whoever waited for it finds it in place.
async fn a_new_table_is_the_services_at_once(stack: &Stack) -> Outcome {
    let schema = Schema::Reservation;
    let url = |role| stack.postgres().url_as(role, schema.name());
    let mut owner = PgConnection::connect(&url(schema.owner())).await?;
    let mut service = PgConnection::connect(&url(schema.role())).await?;
    owner.execute("create table roles_test (id bigint generated always as identity, text text)").await?;
    for statement in [
        "insert into roles_test (text) values ('a')",
        "update roles_test set text = 'b'",
        "select * from roles_test for update",
        "delete from roles_test",
    ] {
        assert_eq!(refusal(&mut service, statement).await, "", "{statement}");
    }
    assert_eq!(refusal(&mut service, "truncate roles_test").await, NO_RIGHT);
    owner.execute("drop table roles_test").await?;
    owner.close().await?;
    service.close().await?;
    Ok(())
}
