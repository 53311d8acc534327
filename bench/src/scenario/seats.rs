//! Seats, each for one customer, wanted in no order.

use anyhow::{Result, ensure};
use bytes::Bytes;
use stack::Options;

use super::Bench;
use super::peak::{Peak, measure};
use crate::calls::seat;
use crate::figure::Report;
use crate::goods::{label, seat_maps};

/// A prime beyond any number of seats, so that its multiples come to each seat once.
const STRIDE: u64 = 618_034_003;

/// Against raw SQL on many products.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let site = bench.site(Options::default())?;
    let (count, seats) = (bench.scale.seat_maps, bench.scale.seats);
    let maps = seat_maps(&site, count, seats)?;
    bench.say(format!("{} seats made", count * seats));
    let all = (count * seats) as u64;
    ensure!(all < STRIDE, "seats would come twice");
    let pick = |n: u64| -> Bytes {
        let at = usize::try_from(n.wrapping_mul(STRIDE) % all).unwrap_or_default();
        seat(maps[at / seats], &label(at % seats))
    };
    let peak = Peak { sql_products: bench.scale.products, sql_name: "many products", at_least: 1.5, pick };
    measure(bench, report, &site, &peak)
}
