//! Whether programs of the last release work on a schema: their statements mean there what they meant, and what they write is
//! still taken.
//!
//! Their statements are kept in `tests/compat/<database>`, as `make sqlx` wrote them for that release (CONTRIBUTING.md).

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;
use sqlx::{
    AssertSqlSafe, Column as _, Connection as _, Either, Executor as _, PgConnection, SqlSafeStr as _,
    Statement as _, TypeInfo as _,
};

/// The rules of a table that a row must keep: columns, constraints, unique indexes, triggers with what they do.
const RULES: &str = "
    select table_name::text as of_table, 'column ' || column_name as name,
           concat_ws(' ', data_type, udt_name,
                     case when is_nullable = 'NO' and column_default is null and is_identity = 'NO'
                               and is_generated = 'NEVER'
                          then 'must be given' end) as rule
    from information_schema.columns where table_schema = 'public'
    union all
    select conrelid::regclass::text, 'constraint ' || conname, pg_get_constraintdef(oid)
    from pg_constraint where connamespace = 'public'::regnamespace and conrelid <> 0
    union all
    select tablename::text, 'index ' || indexname, indexdef from pg_indexes
    where schemaname = 'public' and indexdef like 'CREATE UNIQUE%'
    union all
    select tgrelid::regclass::text, 'trigger ' || tgname, pg_get_triggerdef(oid) || ' ' || pg_get_functiondef(tgfoid)
    from pg_trigger where not tgisinternal";

/// Rules that were made anew and ask for the same in other words: before, after.
const SAME: [(&str, &str); 1] = [(
    "CREATE UNIQUE INDEX products_sku_key ON public.products USING btree (sku) WHERE (deleted_at IS NULL)",
    "CREATE UNIQUE INDEX products_sku_key ON public.products USING btree ((\nCASE\n    \
     WHEN (deleted_at IS NULL) THEN sku\n    ELSE NULL::text\nEND))",
)];

/// A rule by its table and name.
type Rules = BTreeMap<(String, String), String>;

/// The rules of all tables.
pub async fn rules(conn: &mut PgConnection) -> Rules {
    let rules = sqlx::query_as::<_, (String, String, String)>(RULES).fetch_all(conn).await;
    rules
        .expect("the rules can be read")
        .into_iter()
        .map(|(table, name, rule)| ((table, name), rule))
        .collect()
}

/// What in `after` breaks whoever writes and reads as `before` allows: columns that went or changed, and new demands on tables
/// that were there. One that was made anew with another text counts as new: nobody can tell by the text which is the stricter, unless
/// it is among [`SAME`].
/// Further tables, further columns that need not be given, and fewer rules break nobody.
#[must_use]
pub fn broken_rules(before: &Rules, after: &Rules) -> Vec<String> {
    let tables: Vec<&String> = before.keys().map(|(table, _)| table).collect();
    let lost = before
        .iter()
        .filter(|((_, name), _)| name.starts_with("column "))
        .filter(|(key, rule)| after.get(*key).is_none_or(|now| now != *rule && !now.is_easier_than(rule)));
    let lost = lost.map(|((table, name), rule)| format!("{table}: {name} is no longer {rule}"));
    let new =
        after.iter().filter(|((table, _), _)| tables.contains(&table)).filter(|(key, rule)| {
            match before.get(*key) {
                None => !key.1.starts_with("column ") || rule.ends_with("must be given"),
                Some(was) => {
                    let same = was == *rule || SAME.contains(&(was, rule));
                    !key.1.starts_with("column ") && !same
                }
            }
        });
    lost.chain(new.map(|((table, name), rule)| format!("{table}: new {name}: {rule}"))).collect()
}

/// Compares what a column demands.
trait Demand {
    /// The same type, but it need not be given any more.
    fn is_easier_than(&self, other: &str) -> bool;
}

impl Demand for String {
    fn is_easier_than(&self, other: &str) -> bool {
        other.strip_suffix(" must be given") == Some(self)
    }
}

/// What of the last release's statements on this database means something else now, or nothing.
pub async fn broken_statements(database: &str, conn: &mut PgConnection) -> Vec<String> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("compat").join(database);
    let mut broken = Vec::new();
    let mut count = 0;
    for file in fs::read_dir(&dir).expect("the statements of the last release are kept") {
        let text = fs::read_to_string(file.expect("the folder can be read").path()).expect("it is a file");
        let kept: Value = serde_json::from_str(&text).expect("it is what `make sqlx` wrote");
        let query = kept["query"].as_str().expect("it has the statement");
        count += 1;
        // By itself: a statement that cannot be prepared ends its transaction.
        let mut alone = conn.begin().await.expect("a transaction begins");
        if let Err(why) = check(&mut alone, query, &kept["describe"]).await {
            broken.push(format!("{why}: {query}"));
        }
        alone.rollback().await.expect("it ends");
    }
    assert!(count > 0, "{} is empty", dir.display());
    broken
}

/// Compares a statement's parameters and columns with what they were.
async fn check(conn: &mut PgConnection, query: &str, kept: &Value) -> Result<(), String> {
    let statement =
        conn.prepare(AssertSqlSafe(query).into_sql_str()).await.map_err(|error| error.to_string())?;
    let Some(Either::Left(parameters)) = statement.parameters() else {
        return Err("no parameters".to_owned());
    };
    let now: Vec<String> = parameters.iter().map(|kind| kind.name().to_owned()).collect();
    let before: Vec<String> = list(&kept["parameters"]["Left"]).map(type_name).collect();
    same("parameters", &before, &now)?;
    let now: Vec<String> = statement
        .columns()
        .iter()
        .map(|column| format!("{} {}", column.name(), column.type_info().name()))
        .collect();
    let name = |column: &Value| column["name"].as_str().unwrap_or_default().to_owned();
    let before: Vec<String> = list(&kept["columns"])
        .map(|column| format!("{} {}", name(column), type_name(&column["type_info"])))
        .collect();
    same("columns", &before, &now)?;
    for (column, nullable) in list(&kept["columns"]).zip(list(&kept["nullable"])) {
        let origin = &column["origin"]["Table"];
        if nullable == &Value::Bool(false) && origin.is_object() {
            let (table, column) = (origin["table"].as_str(), origin["name"].as_str());
            let may_be_null = "select is_nullable = 'YES' from information_schema.columns
                               where table_name = $1 and column_name = $2";
            let answer = sqlx::query_scalar::<_, bool>(may_be_null).bind(table).bind(column);
            if answer.fetch_optional(&mut *conn).await.map_err(|error| error.to_string())? != Some(false) {
                return Err(format!("{table:?}.{column:?} may be null now"));
            }
        }
    }
    Ok(())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn same(what: &str, before: &[String], now: &[String]) -> Result<(), String> {
    if before == now { Ok(()) } else { Err(format!("its {what} were {before:?} and are {now:?}")) }
}

/// `UuidArray` is written `UUID[]` elsewhere.
fn type_name(kept: &Value) -> String {
    let name = kept.as_str().unwrap_or_default();
    match name.strip_suffix("Array") {
        Some(element) => format!("{}[]", element.to_uppercase()),
        None => name.to_uppercase(),
    }
}
