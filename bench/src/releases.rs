//! Holds that ran out: when they were to, and when their units were back on sale.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use stack::{Options, Schema};

use crate::load::Tally;
use crate::site::Site;

/// A stack that keeps the times of commits: what a hold had is on sale when the release is committed, not before.
#[must_use]
pub fn timed() -> Options {
    Options::default().postgres("track_commit_timestamp", "on")
}

/// One hold that ran out. All times in microseconds by PostgreSQL's clock: both databases have the same.
#[derive(Clone, Copy, Debug)]
pub struct Release {
    /// When it was to run out.
    pub deadline: i64,
    /// When its units were on sale again.
    pub released: i64,
}

/// The time by PostgreSQL's clock.
///
/// # Errors
/// It does not answer.
pub fn now(site: &Site) -> Result<i64> {
    let micros = "select (extract(epoch from clock_timestamp()) * 1000000)::bigint";
    Ok(site.stack.postgres().query("postgres", micros)?.parse()?)
}

/// The holds that were placed from a time on, all of which have run out.
///
/// # Errors
/// One was not released, or before its time: by reservation's own verdict, or in the catalog.
pub fn since(site: &Site, from: i64) -> Result<Vec<Release>> {
    let postgres = site.stack.postgres();
    let bookings = format!(
        "select booking_id, (extract(epoch from expires_at) * 1000000)::bigint,
                (extract(epoch from expired_at) * 1000000)::bigint
         from bookings
         where state = 'EXPIRED' and held_at >= to_timestamp({from} / 1000000.0)"
    );
    let holds = "select booking_id, (extract(epoch from pg_xact_commit_timestamp(xmin)) * 1000000)::bigint
                 from holds where state = 'RELEASED'";
    let bookings = postgres.query(Schema::Reservation.name(), &bookings)?;
    let holds = postgres.query(Schema::Catalog.name(), holds)?;
    let released: HashMap<&str, i64> = holds
        .lines()
        .filter_map(|line| line.split_once('|'))
        .filter_map(|(id, at)| Some((id, at.parse().ok()?)))
        .collect();
    bookings
        .lines()
        .map(|line| {
            let mut columns = line.split('|');
            let mut next = || columns.next().context("a column is missing");
            let (id, deadline, expired): (&str, i64, i64) = (next()?, next()?.parse()?, next()?.parse()?);
            let released = *released.get(id).with_context(|| format!("the hold of {id} was not released"))?;
            ensure!(
                expired >= deadline && released >= deadline,
                "booking {id} ran out early: its deadline was {deadline}, its verdict {expired}, its release {released}"
            );
            Ok(Release { deadline, released })
        })
        .collect()
}

/// How late they were.
#[must_use]
pub fn lags(releases: &[Release]) -> Tally {
    let mut lags = Tally::default();
    for release in releases {
        lags.record(Duration::from_micros(
            u64::try_from(release.released - release.deadline).unwrap_or_default(),
        ));
    }
    lags
}
