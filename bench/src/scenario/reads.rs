//! Reads: one booking, one product, a page of seats.

use std::sync::Mutex;

use anyhow::{Context, Result};
use bytes::Bytes;
use proto::catalog::{GetProductRequest, ListSeatsRequest};
use stack::Options;

use super::Bench;
use super::peak::tell_cpu;
use super::spread::scattered;
use crate::calls::{BookingId, GET_BOOKING, GET_PRODUCT, LIST_SEATS, about, encode, unit};
use crate::cpu::Usage;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products, seat_maps};
use crate::load::{Tally, Until, closed};
use crate::site::{Site, Taken};

/// Bookings to read.
const BOOKINGS: u64 = 20_000;
/// Calls in flight to the catalog, which takes fewer at a time; and of those that answer whole pages.
const TO_CATALOG: usize = 128;
const PAGES: usize = 16;
/// Seats on a page.
const SEATS: usize = 500;

/// Against the bare call.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let (scale, site) = (&bench.scale, bench.site(Options::default())?);
    let goods = products(&site, scale.products, OPEN)?;
    let map = seat_maps(&site, 1, SEATS)?[0];
    let bookings = make_bookings(&site, scale.counted.min(BOOKINGS), &unit(goods[0]))?;
    bench.say(format!("{} products and {} bookings made", goods.len(), bookings.len()));
    let get_booking = |n| about(bookings[scattered(n, bookings.len())]);
    let get_product =
        |n| encode(&GetProductRequest { product_id: goods[scattered(n, goods.len())].to_string() });
    let page =
        ListSeatsRequest { seat_map_id: map.to_string(), page_size: 500, ..ListSeatsRequest::default() };
    let page = encode(&page);
    let booking =
        |time| read(&site.reservations, GET_BOOKING, scale.in_flight, Until::Time(time), &get_booking);
    let product = |time| {
        read(&site.catalogs, GET_PRODUCT, scale.in_flight.min(TO_CATALOG), Until::Time(time), &get_product)
    };
    let seats = |time| read(&site.catalogs, LIST_SEATS, PAGES, Until::Time(time), &|_| page.clone());
    bench.echo.run(scale.in_flight, scale.warm_up / 2)?;
    booking(scale.warm_up)?;
    product(scale.warm_up)?;
    seats(scale.warm_up)?;
    let mut rates: [Vec<f64>; 4] = Default::default();
    let mut cpu: [Vec<Vec<(String, f64)>>; 2] = Default::default();
    for round in 1..=scale.rounds {
        let time = scale.measured / 2;
        let echo = bench.echo.run(scale.in_flight, time)?;
        let before = Usage::of(&site.stack);
        let booking = booking(time)?;
        cpu[0].push(Usage::of(&site.stack).micros_each_since(&before, booking.done));
        let before = Usage::of(&site.stack);
        let product = product(time)?;
        cpu[1].push(Usage::of(&site.stack).micros_each_since(&before, product.done));
        let [echo, booking, product, seats] =
            [echo, booking, product, seats(time)?].map(|tally| tally.rate());
        bench.say(format!(
            "round {round}: E {echo:.0}/s, GetBooking {booking:.0}/s, GetProduct {product:.0}/s, ListSeats {seats:.0}/s"
        ));
        for (all, rate) in rates.iter_mut().zip([echo, booking, product, seats]) {
            all.push(rate);
        }
    }
    site.check_books(Taken { held: bookings.len() as u64, sold: 0 })?;
    let [echo, booking, product, seats] = &rates;
    let by_echo = |all: &[f64]| all.iter().zip(echo).map(|(rate, echo)| rate / echo).collect::<Vec<_>>();
    report.figure("GetBooking ÷ baseline E", "", &by_echo(booking), Target::AtLeast(0.6));
    report.figure("GetProduct ÷ baseline E", "", &by_echo(product), Target::AtLeast(0.6));
    report.told("ListSeats of 500 seats ÷ baseline E", "", &by_echo(seats));
    report.told("baseline E", "/s", echo);
    report.told("GetBooking", "/s", booking);
    report.told("GetProduct", "/s", product);
    report.told("ListSeats of 500 seats", "/s", seats);
    let [of_booking, of_product] = &cpu;
    tell_cpu(report, "GetBooking: ", of_booking);
    tell_cpu(report, "GetProduct: ", of_product);
    Ok(())
}

fn make_bookings(site: &Site, count: u64, line: &Bytes) -> Result<Vec<BookingId>> {
    let ids = Mutex::new(Vec::new());
    let until = Until::Count(count, std::time::Duration::from_mins(2));
    closed(&site.reservations, 64, until, async |caller, n| {
        let id = caller.hold(n, line).await?;
        ids.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(id);
        Ok(())
    })?
    .sound()?;
    Ok(ids.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn read(
    urls: &[String],
    path: &'static str,
    in_flight: usize,
    until: Until<'_>,
    message: &(impl Fn(u64) -> Bytes + Sync),
) -> Result<Tally> {
    let tally =
        closed(urls, in_flight, until, async |caller, n| caller.call(path, message(n)).await.map(drop))?;
    tally.sound().context(path)
}
