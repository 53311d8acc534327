//! A long past: what new holds and lists of bookings make of tables that are full of settled ones.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use proto::reservation::ListBookingsRequest;
use stack::Options;
use uuid::Uuid;

use super::Bench;
use super::peak::hold;
use crate::calls::{LIST_BOOKINGS, customer, encode, unit};
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::history;
use crate::load::{Tally, Until, closed};
use crate::site::{Site, Taken};

/// Products on which the past is.
const PRODUCTS: usize = 100;
/// Customers whose pages are read, and how many new bookings each has: a page is full on both sides.
const READERS: u64 = 20;
const PAGE: u64 = 50;

/// One side: a stack, and what was acknowledged there.
struct Side {
    site: Site,
    line: Bytes,
    taken: Taken,
}

/// Against a stack of its own that has no past.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let scale = &bench.scale;
    let (mut empty, _) = Side::start(bench)?;
    let (mut full, goods) = Side::start(bench)?;
    let begun = Instant::now();
    full.taken.sold = history::write(&full.site, scale.history, &goods)?;
    bench.say(format!("{} bookings written in {:.0} s", scale.history, begun.elapsed().as_secs_f64()));
    for side in [&mut empty, &mut full] {
        side.prepare(scale.in_flight)?;
        side.hold(scale.in_flight, scale.warm_up)?;
    }
    let mut holds: [Vec<f64>; 3] = Default::default();
    let mut of_customer: [Vec<f64>; 3] = Default::default();
    let mut of_all: [Vec<f64>; 3] = Default::default();
    for round in 1..=scale.rounds {
        let [rate_empty, rate_full] =
            [&mut empty, &mut full].map(|side| side.hold(scale.in_flight, scale.measured));
        push(&mut holds, rate_empty?, rate_full?);
        let time = scale.measured / 4;
        push(&mut of_customer, empty.page_ms(time, true)?, full.page_ms(time, true)?);
        push(&mut of_all, empty.page_ms(time, false)?, full.page_ms(time, false)?);
        bench.say(format!(
            "round {round}: new holds {:.0}/s and {:.0}/s, pages {:.2} and {:.2} ms, {:.2} and {:.2} ms",
            holds[0][round - 1],
            holds[1][round - 1],
            of_customer[0][round - 1],
            of_customer[1][round - 1],
            of_all[0][round - 1],
            of_all[1][round - 1]
        ));
    }
    for side in [&empty, &full] {
        side.site.check_books(side.taken)?;
    }
    let at_most = Target::AtMost(2.0);
    report.figure("new holds ÷ new holds when empty", "", &holds[2], Target::AtLeast(0.9));
    report.figure("ListBookings of a customer ÷ when empty", "", &of_customer[2], at_most);
    report.figure("ListBookings of everyone ÷ when empty", "", &of_all[2], at_most);
    report.told("new holds when empty", "/s", &holds[0]);
    report.told("new holds with the past", "/s", &holds[1]);
    report.told("ListBookings of a customer when empty, p50", "ms", &of_customer[0]);
    report.told("ListBookings of a customer with the past, p50", "ms", &of_customer[1]);
    report.told("ListBookings of everyone when empty, p50", "ms", &of_all[0]);
    report.told("ListBookings of everyone with the past, p50", "ms", &of_all[1]);
    report.note(format!("{} settled bookings; pages of {PAGE}, one call at a time", scale.history));
    Ok(())
}

/// Adds a round: when empty, with the past, and the second by the first.
fn push(all: &mut [Vec<f64>; 3], empty: f64, full: f64) {
    for (values, value) in all.iter_mut().zip([empty, full, full / empty]) {
        values.push(value);
    }
}

impl Side {
    fn start(bench: &Bench) -> Result<(Self, Vec<Uuid>)> {
        let site = bench.site(Options::default())?;
        let goods = products(&site, PRODUCTS, OPEN)?;
        Ok((Self { site, line: unit(goods[0]), taken: Taken::default() }, goods))
    }

    /// Gives each reader a page of new bookings.
    fn prepare(&mut self, in_flight: usize) -> Result<()> {
        let (line, until) = (&self.line, Until::Count(READERS * PAGE, Duration::from_mins(1)));
        let made = closed(&self.site.reservations, in_flight, until, async |caller, n| {
            caller.hold(n % READERS, line).await.map(drop)
        })?;
        self.taken.held += made.sound()?.done;
        Ok(())
    }

    /// The rate of new holds.
    fn hold(&mut self, in_flight: usize, time: Duration) -> Result<f64> {
        let placed = hold(&self.site, in_flight, time, || self.line.clone())?;
        self.taken.held += placed.done;
        self.site.drain()?;
        Ok(placed.rate())
    }

    /// How long a page takes, in ms: of one customer, or of everyone.
    fn page_ms(&self, time: Duration, of_customer: bool) -> Result<f64> {
        let request = |n| ListBookingsRequest {
            customer_id: if of_customer { customer(n) } else { String::new() },
            page_size: i32::try_from(PAGE).unwrap_or_default(),
            ..ListBookingsRequest::default()
        };
        let pages: Vec<Bytes> = (0..READERS).map(|n| encode(&request(n))).collect();
        let read: Tally = closed(&self.site.reservations, 1, Until::Time(time), async |caller, n| {
            let page = pages[usize::try_from(n % READERS).unwrap_or_default()].clone();
            caller.call(LIST_BOOKINGS, page).await.map(drop)
        })?;
        Ok(read.sound().context("ListBookings")?.at(0.5))
    }
}
