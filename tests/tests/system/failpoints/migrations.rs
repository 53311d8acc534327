//! Migrations that die or fail on the way.

use failpoint::{ARM, Program, Step};
use stack::{Options, Schema, ServiceKind, Stack};
use system_tests::{Outcome, own, shared};
use tokio::task::block_in_place;

/// What was migrated, and what the schema is made of.
fn schema_of(stack: &Stack, database: &str) -> String {
    let ask = |sql| block_in_place(|| stack.postgres().query(database, sql)).expect("the schema can be read");
    let applied = "select version::text, success::text from _sqlx_migrations order by version";
    let columns = "select table_name::text, column_name::text, data_type::text, column_default::text
                   from information_schema.columns where table_schema = 'public' and table_name <> '_sqlx_migrations'
                   order by table_name, ordinal_position";
    ask(applied) + &ask(columns)
}

pub(super) fn is_walked_here(step: Step) -> bool {
    step.name().starts_with("migrate.")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_died_or_failed_on_the_way_is_finished_by_the_next() -> Outcome {
    let stack = own(Options { expirers: 0, ..Options::default() }).await;
    for (schema, kind, program) in [
        (Schema::Catalog, ServiceKind::Catalog, Program::Catalog),
        (Schema::Reservation, ServiceKind::Reservation, Program::Reservation),
    ] {
        let whole = schema_of(&stack, schema.name());
        assert!(!whole.is_empty());
        let steps = Step::ALL.iter().filter(|step| is_walked_here(**step));
        for step in steps.filter(|step| step.programs().contains(&program)) {
            for action in ["abort", "error"] {
                let name = format!("{}_{}_{action}", schema.name(), step.name().replace('.', "_"));
                block_in_place(|| {
                    stack.postgres().create_database(&name).expect("it is new");
                    let url = stack.postgres().url(&name);
                    let database = ("HOLDFAST_DATABASE_URL", url.as_str());
                    let fault = format!("{}={action}", step.name());
                    let broken =
                        stack.migrate_with(kind, &[database, (ARM, &fault)]).expect_err("it breaks off");
                    let said = broken.to_string();
                    assert!(said.contains(&format!("failpoint reached step=\"{}\"", step.name())), "{said}");
                    stack.migrate_with(kind, &[database]).expect("it goes on where the first one was");
                    stack.migrate_with(kind, &[database]).expect("there is nothing left to do");
                });
                assert_eq!(schema_of(&stack, &name), whole, "{name}");
            }
        }
    }
    Ok(())
}

/// Whoever mistypes the name of a step is not to believe that nothing happens there.
#[test]
fn a_program_that_is_told_of_a_step_that_it_does_not_have_refuses_to_start() {
    for name in ["no.such.step", "due.taken"] {
        let told = shared().migrate_with(ServiceKind::Catalog, &[(ARM, &format!("{name}=abort"))]);
        let said = told.expect_err("there is no such step").to_string();
        assert!(said.contains(&format!("catalog has no failpoint \"{name}\"")), "{said}");
    }
}
