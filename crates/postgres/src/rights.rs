//! What the role of a service may do: read and write its own tables, each as far as the service does, and nothing else.
//!
//! Given by `migrate`, which is run by the owner of the database. What comes with a migration is the service's by default rights
//! at once, so that a process that has waited for it finds everything in place; then it is narrowed.

use anyhow::Context as _;
use sqlx::{Connection as _, PgConnection};

/// Tables, and what the service may do to each: `select, insert`. A table that is not named may be read and written. A right that
/// the last release uses is not to be taken away: its processes go on beside this migration.
pub type Rights = &'static [(&'static str, &'static str)];

/// Its settings are the role, and the rights as JSON.
const GIVE: &str = r"
do $give$
declare
    service text := current_setting('holdfast.service');
    rights jsonb := current_setting('holdfast.rights');
    owner oid := (select datdba from pg_database where datname = current_database());
    relation name;
begin
    if not pg_has_role(current_user, owner, 'usage') then
        raise 'the user of HOLDFAST_MIGRATE_URL, %, does not own the database %', current_user, current_database();
    end if;
    if pg_has_role(service, current_user, 'member') or pg_has_role(service, owner, 'member') then
        raise 'the user of HOLDFAST_DATABASE_URL, %, may act as the owner of the database: it has to be another than that of HOLDFAST_MIGRATE_URL, and no member of it', service;
    end if;
    -- Whatever was given before.
    execute format('revoke all on database %I from %I', current_database(), service);
    execute format('revoke all on schema public from %I', service);
    execute format('revoke all on all sequences in schema public from %I', service);
    execute format('alter default privileges in schema public revoke all on tables from %I', service);
    execute format('alter default privileges in schema public revoke all on sequences from %I', service);
    execute format('revoke all on database %I from public', current_database());
    execute format('grant connect on database %I to %I', current_database(), service);
    revoke create on schema public from public;
    execute format('grant usage on schema public to %I', service);
    execute format('alter default privileges in schema public grant select, insert, update, delete on tables to %I', service);
    execute format('alter default privileges in schema public grant usage, select on sequences to %I', service);
    execute format('grant usage, select on all sequences in schema public to %I', service);
    for relation in
        select relname from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
    loop
        execute format('revoke all on table public.%I from %I', relation, service);
        execute format(
            'grant %s on table public.%I to %I',
            coalesce(rights ->> relation::text, 'select, insert, update, delete'), relation, service);
    end loop;
end
$give$";

/// Gives a role its rights, and takes all others from it and from everybody. Repeats change nothing.
pub(crate) async fn give(connection: &mut PgConnection, role: &str, rights: Rights) -> anyhow::Result<()> {
    let mut transaction = connection.begin().await.context("begin")?;
    sqlx::query("select set_config('holdfast.service', $1, true), set_config('holdfast.rights', $2, true)")
        .bind(role)
        .bind(as_json(rights))
        .execute(&mut *transaction)
        .await
        .context("name the role")?;
    let given = sqlx::raw_sql(GIVE).execute(&mut *transaction).await;
    given.with_context(|| format!("give the role {role:?} its rights"))?;
    transaction.commit().await.context("commit")
}

/// Names of tables and rights have nothing in them that JSON would have to escape.
fn as_json(rights: Rights) -> String {
    let own = [("_sqlx_migrations", "select")];
    let pairs = own.iter().chain(rights).map(|(table, rights)| format!("\"{table}\":\"{rights}\""));
    format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
}
