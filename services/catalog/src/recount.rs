//! `catalog recount`: makes what is counted of customers what their holds have counted.
//!
//! Programs of a release that knew nothing of limits release holds that count, and give nothing back: after a rollback, counts are
//! too high. What holds count and what is counted change together, so by how much a count is wrong is the same whoever holds and
//! pays meanwhile: it is seen in one instant, and taken off later. None of those programs may run while it does.

use std::collections::BTreeMap;

use anyhow::Context as _;
use sqlx::{PgConnection, PgPool};

use crate::{
    domain::customer::{CountKey, Counted, CustomerId},
    error::Error,
    store::{audit, counts},
};

/// Counts that are put right in one transaction.
const PAGE: i64 = 5_000;
/// How often in a row a page may lose against others.
const ATTEMPTS: u32 = 5;
/// How long one scan of all holds may take.
const SCAN_LIMIT_MS: u32 = 120_000;

/// Puts all counts right; how many were wrong.
///
/// # Errors
/// The database refuses or is away: what was put right stays so.
pub(crate) async fn run(pool: &PgPool) -> anyhow::Result<u64> {
    let (mut all, mut lost) = (0, 0);
    loop {
        let mut transaction = pool.begin().await.context("begin")?;
        match page(&mut transaction).await {
            Ok(0) => return Ok(all),
            Ok(wrong) => {
                transaction.commit().await.context("commit")?;
                (all, lost) = (all + wrong, 0);
            }
            Err(Error::Database(error)) if lost < ATTEMPTS && postgres::is_conflict(&error) => lost += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts a page of counts right: those that are too high, or else those that are too low, so that all are locked in the order of their
/// keys. One recount at a time: two would take the same off twice.
async fn page(conn: &mut PgConnection) -> Result<u64, Error> {
    if !counts::lock_recount(conn, SCAN_LIMIT_MS).await? {
        return Err(Error::Inconsistent("another recount runs".to_owned()));
    }
    let (mut high, mut low) = (BTreeMap::new(), BTreeMap::new());
    for wrong in audit::wrong_customer_counts(conn, PAGE).await? {
        let by = wrong.row.unwrap_or(0) - wrong.in_holds;
        let side = if by > 0 { &mut high } else { &mut low };
        side.insert(key(wrong)?, by.abs());
    }
    if high.is_empty() {
        counts::add(conn, &low).await?;
        return Ok(low.len() as u64);
    }
    counts::give_back(conn, &high).await?;
    Ok(high.len() as u64)
}

fn key(wrong: audit::WrongCustomerCount) -> Result<CountKey, Error> {
    let customer_id = CustomerId::try_from(wrong.customer_id);
    let customer_id = customer_id.map_err(|error| Error::Inconsistent(error.to_string()))?;
    let counted = match wrong.counted.as_str() {
        "OPEN_HOLDS" => Counted::OpenHolds,
        "PRODUCT" => Counted::Product(wrong.item_id.into()),
        "SEAT_MAP" => Counted::SeatMap(wrong.item_id.into()),
        other => return Err(Error::Inconsistent(format!("customer_counts.counted: {other}"))),
    };
    Ok(CountKey { customer_id, counted })
}
