//! How PostgreSQL carries out the statements of the services.

use std::{fs, path::Path};

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
        wandering.extend(ways(&plan).map(|way| format!("{way}: {query}")));
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

/// What a plan reads from end to end.
fn ways(plan: &Value) -> impl Iterator<Item = String> {
    let mut found = Vec::new();
    let mut rest = vec![plan];
    while let Some(value) = rest.pop() {
        match value {
            Value::Array(parts) => rest.extend(parts),
            Value::Object(parts) => {
                let text = |name: &str| parts.get(name).and_then(Value::as_str).unwrap_or_default();
                let kind = text("Node Type");
                let by_index = kind.contains("Index") && !parts.contains_key("Index Cond");
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
