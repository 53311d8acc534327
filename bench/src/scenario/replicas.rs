//! Two of each service on the same database and broker: they must not get into each other's way.

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::pair::compare_stacks;
use crate::figure::Report;

/// The rate on one product, with two of each against one.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let two = Options { catalogs: 2, reservations: 2, expirers: 2, ..Options::default() };
    let stacks = [("holds with one of each", Options::default()), ("holds with two of each", two)];
    compare_stacks(bench, report, "holds with two of each ÷ with one", 0.9, stacks)
}
