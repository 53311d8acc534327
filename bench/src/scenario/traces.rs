//! What is paid for traces and logs that nobody asked for: with nowhere to send traces, against nothing being recorded at all.

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::pair::{Side, compare};
use super::peak::hold;
use crate::calls::unit;
use crate::figure::Report;
use crate::goods::{OPEN, products};

/// The rate on one product, as it is run, against every span and event being off.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let in_flight = bench.scale.in_flight;
    let silent = bench.site(Options::default().env("HOLDFAST_LOG", "off"))?;
    let usual = bench.site(Options::default())?;
    let (of_silent, of_usual) = (unit(products(&silent, 1, OPEN)?[0]), unit(products(&usual, 1, OPEN)?[0]));
    let sides = [
        Side {
            name: "holds with nothing recorded",
            site: &silent,
            hold: &|time| hold(&silent, in_flight, time, || of_silent.clone()),
        },
        Side {
            name: "holds as it is run",
            site: &usual,
            hold: &|time| hold(&usual, in_flight, time, || of_usual.clone()),
        },
    ];
    compare(bench, report, "holds without traces ÷ with nothing recorded", 0.97, &sides)
}
