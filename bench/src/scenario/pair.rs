//! Two stacks that differ in one thing, taking turns: what that thing costs.

use std::time::Duration;

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::peak::hold;
use crate::calls::unit;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::load::Tally;
use crate::site::{Site, Taken};

/// One of the two.
pub(super) struct Side<'a> {
    /// What it is called: `holds with two of each`.
    pub(super) name: &'a str,
    /// Its stack.
    pub(super) site: &'a Site,
    /// Holds as fast as it goes, for so long.
    pub(super) hold: &'a dyn Fn(Duration) -> Result<Tally>,
}

/// As [`compare`], on one product of each of two stacks that have these names and differ in these options.
pub(super) fn compare_stacks(
    bench: &Bench,
    report: &mut Report,
    figure: &str,
    at_least: f64,
    [first, second]: [(&str, Options); 2],
) -> Result<()> {
    let in_flight = bench.scale.in_flight;
    let (one, other) = (bench.site(first.1)?, bench.site(second.1)?);
    let (of_one, of_other) = (unit(products(&one, 1, OPEN)?[0]), unit(products(&other, 1, OPEN)?[0]));
    let sides = [
        Side { name: first.0, site: &one, hold: &|time| hold(&one, in_flight, time, || of_one.clone()) },
        Side {
            name: second.0,
            site: &other,
            hold: &|time| hold(&other, in_flight, time, || of_other.clone()),
        },
    ];
    compare(bench, report, figure, at_least, &sides)
}

/// Compares the rates of holds: `sides[1]` is to have `at_least` of what `sides[0]` has.
pub(super) fn compare(
    bench: &Bench,
    report: &mut Report,
    figure: &str,
    at_least: f64,
    sides: &[Side<'_>; 2],
) -> Result<()> {
    let scale = &bench.scale;
    let (mut held, mut rates) = ([0, 0], [Vec::new(), Vec::new()]);
    for (side, held) in sides.iter().zip(&mut held) {
        *held += (side.hold)(scale.warm_up)?.done;
    }
    let mut ratios = Vec::new();
    for round in 1..=scale.rounds {
        let mut each = [0.0, 0.0];
        for (n, side) in sides.iter().enumerate() {
            sides.iter().try_for_each(|side| side.site.drain().map(drop))?;
            let tally = (side.hold)(scale.measured)?;
            held[n] += tally.done;
            each[n] = tally.rate();
            rates[n].push(tally.rate());
        }
        bench.say(format!(
            "round {round}: {} {:.0}/s, {} {:.0}/s",
            sides[0].name, each[0], sides[1].name, each[1]
        ));
        ratios.push(each[1] / each[0]);
    }
    for (side, held) in sides.iter().zip(held) {
        side.site.check_books(Taken { held, sold: 0 })?;
    }
    report.figure(figure, "", &ratios, Target::AtLeast(at_least));
    for (side, rates) in sides.iter().zip(&rates) {
        report.told(side.name, "/s", rates);
    }
    Ok(())
}
