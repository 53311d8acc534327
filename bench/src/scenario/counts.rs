//! What a thousand holds take that does not depend on the machine's speed: statements, commits, messages, bytes of log.

use std::time::Duration;

use anyhow::{Context, Result};
use stack::{Options, Schema};

use super::Bench;
use crate::broker;
use crate::calls::unit;
use crate::figure::Report;
use crate::goods::{OPEN, products};
use crate::load::{Tally, Until, closed};
use crate::site::{Site, Taken};

/// Holds in flight.
const IN_FLIGHT: usize = 64;
/// How long they may take.
const LIMIT: Duration = Duration::from_mins(2);

/// The figures' names, for those who set bounds to them.
pub const STATEMENTS: &str = "SQL statements for 1,000 holds";
/// As above.
pub const COMMITS: &str = "transactions that write for 1,000 holds";
/// As above.
pub const MESSAGES: &str = "messages to the broker for 1,000 holds";
/// As above.
pub const LOG_BYTES: &str = "write-ahead log of a hold";

/// What was counted so far.
struct Counters {
    statements: Vec<(Schema, f64)>,
    transactions: f64,
    messages: f64,
    log_bytes: f64,
}

/// Against nothing.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let options = Options::default().postgres("shared_preload_libraries", "pg_stat_statements");
    let site = bench.site(options)?;
    for schema in Schema::ALL {
        site.stack.postgres().query(schema.name(), "create extension pg_stat_statements")?;
    }
    let line = unit(products(&site, 1, OPEN)?[0]);
    let place = |count| -> Result<Tally> {
        let until = Until::Count(count, LIMIT);
        closed(&site.reservations, IN_FLIGHT, until, async |caller, n| caller.hold(n, &line).await.map(drop))?
            .sound()
    };
    let mut held = place(bench.scale.counted / 5)?.done;
    site.drain()?;
    let before = count(&site)?;
    let counted = place(bench.scale.counted)?;
    site.drain()?;
    let after = count(&site)?;
    held += counted.done;
    site.check_books(Taken { held, sold: 0 })?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let holds = counted.done as f64;
    let per_thousand = |before: f64, after: f64| [(after - before) * 1_000.0 / holds];
    let sum = |counters: &Counters| counters.statements.iter().map(|(_, calls)| calls).sum::<f64>();
    report.told(STATEMENTS, "", &per_thousand(sum(&before), sum(&after)));
    for ((schema, before), (_, after)) in before.statements.iter().zip(&after.statements) {
        report.told(&format!("of these in {}", schema.name()), "", &per_thousand(*before, *after));
    }
    report.told(COMMITS, "", &per_thousand(before.transactions, after.transactions));
    report.told(MESSAGES, "", &per_thousand(before.messages, after.messages));
    report.told(LOG_BYTES, "bytes", &[(after.log_bytes - before.log_bytes) / holds]);
    report
        .note(format!("{} holds on one product, {IN_FLIGHT} in flight; with begin and commit", counted.done));
    Ok(())
}

fn count(site: &Site) -> Result<Counters> {
    let number = |database: &str, sql: &str| -> Result<f64> {
        let text = site.stack.postgres().query(database, sql)?;
        text.parse().with_context(|| format!("{text:?} is not a number"))
    };
    let statements = Schema::ALL.map(|schema| {
        let calls = "select coalesce(sum(calls), 0) from pg_stat_statements
                     where dbid = (select oid from pg_database where datname = current_database())
                     and query not like '%/* bench */%'";
        Ok((schema, number(schema.name(), calls)?))
    });
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    Ok(Counters {
        statements: statements.into_iter().collect::<Result<_>>()?,
        // Every transaction that writes takes the next number, and no other does.
        transactions: number("postgres", "select pg_snapshot_xmax(pg_current_snapshot())")?,
        messages: broker::received(site.stack.rabbitmq())? as f64,
        log_bytes: number("postgres", "select pg_current_wal_insert_lsn() - '0/0'")?,
    })
}
