//! Statements go by an index, also on tables that nobody has analysed: those of a new installation, when the sale opens.

use sqlx::PgConnection;
use stack::Schema;
use system_tests::{Outcome, shared, wandering_statements};

use crate::compat::{migrator, scratch};

/// A database that nobody has ever looked into.
async fn untouched(schema: Schema) -> PgConnection {
    scratch(shared(), schema, migrator(schema).iter().count()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_reads_a_table_or_an_index_from_end_to_end() -> Outcome {
    for schema in Schema::ALL {
        let wandering = wandering_statements(schema.name(), &mut untouched(schema).await).await;
        assert_eq!(wandering, Vec::<String>::new());
    }
    Ok(())
}

/// The test above is worth something: it finds an index that leads statements astray.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_tempts_the_planner_is_found() -> Outcome {
    let mut conn = untouched(Schema::Catalog).await;
    let tempting = "create index tempting on products (sku) where deleted_at is null";
    sqlx::query(tempting).execute(&mut conn).await?;
    let wandering = wandering_statements(Schema::Catalog.name(), &mut conn).await;
    assert!(wandering.iter().any(|statement| statement.contains("tempting")), "{wandering:?}");
    Ok(())
}
