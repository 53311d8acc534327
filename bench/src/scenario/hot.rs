//! One product that everyone wants.

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::peak::{Peak, measure};
use crate::calls::unit;
use crate::figure::Report;
use crate::goods::{OPEN, products};

/// Against raw SQL on one product.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let site = bench.site(Options::default())?;
    let line = unit(products(&site, 1, OPEN)?[0]);
    let peak = Peak { sql_products: 1, sql_name: "one product", at_least: 10.0, pick: |_| line.clone() };
    measure(bench, report, &site, &peak)
}
