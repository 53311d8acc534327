//! Two of each service on the same database and broker: they must not get into each other's way.

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::pair::{Side, compare};
use super::peak::hold;
use crate::calls::unit;
use crate::figure::Report;
use crate::goods::{OPEN, products};

/// The rate on one product, with two of each against one.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let in_flight = bench.scale.in_flight;
    let one = bench.site(Options::default())?;
    let two = bench.site(Options { catalogs: 2, reservations: 2, expirers: 2, ..Options::default() })?;
    let (of_one, of_two) = (unit(products(&one, 1, OPEN)?[0]), unit(products(&two, 1, OPEN)?[0]));
    let sides = [
        Side {
            name: "holds with one of each",
            site: &one,
            hold: &|time| hold(&one, in_flight, time, || of_one.clone()),
        },
        Side {
            name: "holds with two of each",
            site: &two,
            hold: &|time| hold(&two, in_flight, time, || of_two.clone()),
        },
    ];
    compare(bench, report, "holds with two of each ÷ with one", 0.9, &sides)
}
