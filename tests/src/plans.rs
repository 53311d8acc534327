//! How PostgreSQL carries out the statements of the services.

use std::{collections::HashMap, fs, path::Path};

use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};

/// The statements of this service, but for those of its audit, that read a table or an index from end to end: as they are
/// planned on this database, in a session like the service's.
pub async fn wandering_statements(service: &str, conn: &mut PgConnection) -> Vec<String> {
    for (name, value) in postgres::SERVING {
        sqlx::raw_sql(AssertSqlSafe(format!("set {name} = '{value}'")))
            .execute(&mut *conn)
            .await
            .expect("it is one");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../services").join(service);
    let audit = fs::read_to_string(folder.join("src/store/audit.rs")).expect("each service has its audit");
    let leading = leading_columns(conn).await;
    let mut wandering = Vec::new();
    let mut count = 0;
    for file in fs::read_dir(folder.join(".sqlx")).expect("its statements are kept") {
        let text = fs::read_to_string(file.expect("the folder can be read").path()).expect("it is a file");
        let kept: Value = serde_json::from_str(&text).expect("it is what `make sqlx` wrote");
        let query = kept["query"].as_str().expect("it has the statement");
        if audit.contains(query) {
            continue;
        }
        count += 1;
        let parameters = kept["describe"]["parameters"]["Left"].as_array().map_or(0, Vec::len);
        let plan = plan(query, parameters, conn).await;
        wandering.extend(ways(&plan, &leading).map(|way| format!("{way}: {query}")));
    }
    assert!(count > 10, "{} has {count} statements", folder.display());
    wandering
}

/// How it is carried out, whatever its parameters are.
async fn plan(query: &str, parameters: usize, conn: &mut PgConnection) -> Value {
    let nulls = vec!["null"; parameters].join(", ");
    let arguments = if parameters == 0 { String::new() } else { format!("({nulls})") };
    let prepare = format!("prepare planned as {query}");
    sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut *conn).await.expect("it can be prepared");
    let explain = AssertSqlSafe(format!("explain (format json) execute planned {arguments}"));
    let plan: Value = sqlx::query_scalar(explain).fetch_one(&mut *conn).await.expect("it has a plan");
    sqlx::raw_sql("deallocate planned").execute(&mut *conn).await.expect("it was prepared");
    plan
}

/// The first column of each index; an expression has no name.
async fn leading_columns(conn: &mut PgConnection) -> HashMap<String, String> {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "select i.relname::text, a.attname::text from pg_index x join pg_class i on i.oid = x.indexrelid
         join pg_attribute a on a.attrelid = x.indrelid and a.attnum = x.indkey[0] and a.attnum > 0",
    )
    .fetch_all(conn)
    .await
    .expect("indexes are known");
    columns.into_iter().collect()
}

/// What a plan reads from end to end: a table, or an index, of which nothing or not the first column is given.
fn ways(plan: &Value, leading: &HashMap<String, String>) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let mut rest = vec![plan];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(parts) => rest.extend(parts),
            Value::Object(parts) => {
                let text = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default();
                let kind = text("Node Type");
                let condition = text("Index Cond");
                let narrowed =
                    leading.get(text("Index Name")).is_none_or(|column| condition.contains(column));
                let by_index = kind.contains("Index") && (condition.is_empty() || !narrowed);
                if kind == "Seq Scan" || by_index {
                    found.push(format!("{kind} {}{}", text("Relation Name"), text("Index Name")));
                }
                rest.extend(parts.values());
            }
            _ => {}
        }
    }
    found.into_iter()
}
