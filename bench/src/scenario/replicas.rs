//! Two of each service on the same database and broker: they must not get into each other's way.

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::peak::hold;
use crate::calls::unit;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::site::Taken;

/// The rate on one product, with two of each against one.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let scale = &bench.scale;
    let one = bench.site(Options::default())?;
    let two = bench.site(Options { catalogs: 2, reservations: 2, expirers: 2, ..Options::default() })?;
    let (of_one, of_two) = (unit(products(&one, 1, OPEN)?[0]), unit(products(&two, 1, OPEN)?[0]));
    let load_one = |time| hold(&one, scale.in_flight, time, || of_one.clone());
    let load_two = |time| hold(&two, scale.in_flight, time, || of_two.clone());
    let (mut from_one, mut from_two) = (load_one(scale.warm_up)?.done, load_two(scale.warm_up)?.done);
    let (mut ones, mut twos, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=scale.rounds {
        two.drain()?;
        let first = load_one(scale.measured)?;
        one.drain()?;
        let second = load_two(scale.measured)?;
        bench.say(format!("round {round}: one of each {:.0}/s, two {:.0}/s", first.rate(), second.rate()));
        from_one += first.done;
        from_two += second.done;
        ones.push(first.rate());
        twos.push(second.rate());
        ratios.push(second.rate() / first.rate());
    }
    one.check_books(Taken { held: from_one, sold: 0 })?;
    two.check_books(Taken { held: from_two, sold: 0 })?;
    report.figure("holds with two of each ÷ with one", "", &ratios, Target::AtLeast(0.9));
    report.told("holds with one of each", "/s", &ones);
    report.told("holds with two of each", "/s", &twos);
    Ok(())
}
