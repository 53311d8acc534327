//! What is paid for traces and logs that nobody asked for: with nowhere to send traces, against nothing being recorded at all.

use anyhow::Result;
use stack::Options;

use super::Bench;
use super::pair::compare_stacks;
use crate::figure::Report;

/// The rate on one product, as it is run, against every span and event being off.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let silent = Options::default().env("HOLDFAST_LOG", "off");
    let stacks = [("holds with nothing recorded", silent), ("holds as it is run", Options::default())];
    compare_stacks(bench, report, "holds without traces ÷ with nothing recorded", 0.97, stacks)
}
