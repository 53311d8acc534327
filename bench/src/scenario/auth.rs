//! Callers that say who they are, each of the customers with a token of their own, against callers that nobody asks.

use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use stack::Options;

use super::Bench;
use super::pair::{Side, compare};
use super::peak::hold;
use crate::calls::{CUSTOMERS, customer, unit};
use crate::figure::Report;
use crate::goods::{OPEN, products};
use crate::load::{Tally, Token, Until, bearer, closed};
use crate::site::Site;

/// Longer than the scenario.
const LIFE: Duration = Duration::from_hours(4);

/// The rate on one product, with tokens against without.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let in_flight = bench.scale.in_flight;
    let open = bench.site(Options::default())?;
    let asked = bench.site(Options { auth: true, ..Options::default() })?;
    let tokens = tokens(&asked)?;
    let (of_open, of_asked) = (unit(products(&open, 1, OPEN)?[0]), unit(products(&asked, 1, OPEN)?[0]));
    let sides = [
        Side {
            name: "holds without tokens",
            site: &open,
            hold: &|time| hold(&open, in_flight, time, || of_open.clone()),
        },
        Side {
            name: "holds with tokens",
            site: &asked,
            hold: &|time| hold_with(&asked, in_flight, time, &of_asked, &tokens),
        },
    ];
    compare(bench, report, "holds with tokens ÷ without", 0.9, &sides)?;
    report.note(format!(
        "{CUSTOMERS} customers, each with a token of their own (Ed25519); the services show each other theirs"
    ));
    Ok(())
}

/// One for each customer, by number.
fn tokens(site: &Site) -> Result<Vec<Token>> {
    let issuer = site.stack.issuer().context("the stack has no issuer")?;
    (0..CUSTOMERS).map(|n| bearer(&issuer.token(&customer(n), "customer", LIFE))).collect()
}

/// As [`hold`], each hold by its customer.
fn hold_with(site: &Site, in_flight: usize, time: Duration, line: &Bytes, tokens: &[Token]) -> Result<Tally> {
    let tally = closed(&site.reservations, in_flight, Until::Time(time), async |caller, n| {
        caller.show(tokens.get(usize::try_from(n % CUSTOMERS).unwrap_or_default()));
        caller.hold(n, line).await.map(drop)
    })?;
    tally.sound().context("holds with tokens")
}
