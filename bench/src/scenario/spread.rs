//! Many products, each wanted now and then.

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::peak::{Peak, measure};
use crate::calls::unit;
use crate::figure::Report;
use crate::goods::{OPEN, products};

/// Against raw SQL on as many products.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let site = bench.site(Options::default())?;
    let count = bench.scale.products;
    let lines: Vec<_> = products(&site, count, OPEN)?.into_iter().map(unit).collect();
    bench.say(format!("{count} products made"));
    let pick = |n| lines[scattered(n, lines.len())].clone();
    let peak = Peak { sql_products: count, sql_name: "many products", at_least: 1.5, pick };
    measure(bench, report, &site, &peak)
}

/// One of so many, as if by chance, the same for the same number.
pub(super) fn scattered(n: u64, count: usize) -> usize {
    // The finalizer of splitmix64 (Steele, Lea and Flood, 2014).
    let mut mixed = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    usize::try_from(mixed % count as u64).unwrap_or_default()
}
