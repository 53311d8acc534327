//! Table `customer_counts`: what customers have, where that is limited. `place.rs` adds to it.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    domain::customer::{CountKey, Counted},
    error::Error,
};

/// What is counted, as the table has it: its kind, and which.
pub(super) const fn named(counted: Counted) -> (&'static str, Uuid) {
    match counted {
        Counted::OpenHolds => ("OPEN_HOLDS", Uuid::nil()),
        Counted::Product(id) => ("PRODUCT", id.as_uuid()),
        Counted::SeatMap(id) => ("SEAT_MAP", id.as_uuid()),
    }
}

/// The columns that name counts.
pub(super) fn key_columns<'a>(
    keys: impl Iterator<Item = &'a CountKey>,
) -> (Vec<&'a str>, Vec<&'static str>, Vec<Uuid>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for CountKey { customer_id, counted } in keys {
        let (kind, item_id) = named(*counted);
        columns.0.push(customer_id.as_str());
        columns.1.push(kind);
        columns.2.push(item_id);
    }
    columns
}

/// Takes off what customers have, which it locks in the order of the keys first; a row that comes to nothing goes. Answers how many
/// of them had as much: that is all, unless somebody else wrote to the table. No hold stays unsettled for a count that is wrong.
pub async fn give_back(conn: &mut PgConnection, numbers: &BTreeMap<CountKey, i64>) -> Result<u64, Error> {
    let (customers, kinds, items) = key_columns(numbers.keys());
    let given: Vec<i64> = numbers.values().copied().collect();
    let had = sqlx::query_scalar!(
        r#"with locked as materialized (
               select c.customer_id, c.counted, c.item_id, c.taken - g.given as remaining
               from unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) as g (customer_id, counted, item_id, given)
               join customer_counts c on c.customer_id = g.customer_id and c.counted = g.counted and c.item_id = g.item_id
               order by c.customer_id, c.counted, c.item_id
               for update of c
           ), emptied as (
               delete from customer_counts c
               using locked l
               where c.customer_id = l.customer_id and c.counted = l.counted and c.item_id = l.item_id
                 and l.remaining <= 0
           ), lowered as (
               update customer_counts c
               set taken = l.remaining
               from locked l
               where c.customer_id = l.customer_id and c.counted = l.counted and c.item_id = l.item_id
                 and l.remaining > 0
           )
           select count(*) filter (where remaining >= 0) as "had!" from locked"#,
        &customers as _,
        &kinds as _,
        &items,
        &given
    )
    .fetch_one(conn)
    .await?;
    Ok(u64::try_from(had).unwrap_or_default())
}

/// Adds to what customers have, whatever they may have: for a recount.
pub async fn add(conn: &mut PgConnection, numbers: &BTreeMap<CountKey, i64>) -> Result<(), Error> {
    let (customers, kinds, items) = key_columns(numbers.keys());
    let added: Vec<i64> = numbers.values().copied().collect();
    sqlx::query!(
        "insert into customer_counts as c (customer_id, counted, item_id, taken, allowed)
         select customer_id, counted, item_id, added, added
         from unnest($1::text[], $2::text[], $3::uuid[], $4::bigint[]) as a (customer_id, counted, item_id, added)
         order by customer_id, counted, item_id
         on conflict (customer_id, counted, item_id) do update set taken = c.taken + excluded.taken",
        &customers as _,
        &kinds as _,
        &items,
        &added
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Keeps other recounts out until the transaction ends, and gives its statements so much time; false: another one runs.
pub async fn lock_recount(conn: &mut PgConnection, statement_timeout_ms: u32) -> Result<bool, Error> {
    let row = sqlx::query!(
        r#"select pg_try_advisory_xact_lock(hashtext('customer_counts')) as "locked!",
                  set_config('statement_timeout', $1, true) as "limit!""#,
        statement_timeout_ms.to_string()
    )
    .fetch_one(conn)
    .await?;
    Ok(row.locked)
}
