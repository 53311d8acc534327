//! Holds over REST against the same over gRPC: what JSON and HTTP/1.1 cost.

use std::cell::RefCell;
use std::time::Duration;

use anyhow::{Context, Result};
use stack::Options;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Status;
use uuid::Uuid;

use super::Bench;
use super::peak::hold;
use crate::calls::{customer, fresh_id, unit};
use crate::cpu::Usage;
use crate::figure::{Report, Target};
use crate::goods::{OPEN, products};
use crate::load::{Tally, Until, closed};
use crate::site::{Site, Taken};

/// Callers in flight: over HTTP/1.1 each has a connection.
const IN_FLIGHT: usize = 256;

/// Against gRPC on one product.
pub(super) fn run(bench: &Bench, report: &mut Report) -> Result<()> {
    let (scale, site) = (&bench.scale, bench.site(Options::default())?);
    let product = products(&site, 1, OPEN)?[0];
    let line = unit(product);
    let in_flight = scale.in_flight.min(IN_FLIGHT);
    let grpc = |time| hold(&site, in_flight, time, || line.clone());
    let rest = |time| hold_over_rest(&site, in_flight, time, product);
    let mut held = grpc(scale.warm_up)?.done + rest(scale.warm_up)?.done;
    let (mut rates, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    let (mut cpu, mut all) = ([Vec::new(), Vec::new()], Tally::default());
    for round in 1..=scale.rounds {
        let mut each = [0.0, 0.0];
        for (way, rate) in each.iter_mut().enumerate() {
            site.drain()?;
            let before = Usage::of(&site.stack);
            let tally = if way == 0 { grpc(scale.measured)? } else { rest(scale.measured)? };
            site.drain()?;
            cpu[way].push(Usage::of(&site.stack).micros_each_since(&before, tally.done));
            held += tally.done;
            *rate = tally.rate();
            rates[way].push(*rate);
            if way == 1 {
                all.merge(&tally);
            }
        }
        bench.say(format!("round {round}: gRPC {:.0}/s, REST {:.0}/s", each[0], each[1]));
        ratios.push(each[1] / each[0]);
    }
    site.check_books(Taken { held, sold: 0 })?;
    report.figure("holds over REST ÷ over gRPC", "", &ratios, Target::AtLeast(0.6));
    for (name, (rates, cpu)) in ["gRPC", "REST"].into_iter().zip(rates.iter().zip(&cpu)) {
        report.told(&format!("holds over {name}"), "/s", rates);
        let reservation = |round: &Vec<(String, f64)>| {
            round.iter().find(|(part, _)| part.contains("reservation")).map_or(0.0, |(_, micros)| *micros)
        };
        let micros: Vec<_> = cpu.iter().map(reservation).collect();
        report.told(&format!("processor time of reservation over {name}"), "µs each", &micros);
    }
    report.note(format!("{in_flight} callers; over REST each has a connection of HTTP/1.1 of its own"));
    report.latencies.push(all.latency("rest: at the peak"));
    Ok(())
}

/// As [`hold`], with JSON.
fn hold_over_rest(site: &Site, in_flight: usize, time: Duration, product: Uuid) -> Result<Tally> {
    let url = site.stack.reservation().http_url();
    let address = url.trim_start_matches("http://");
    let tally = closed(&site.reservations, in_flight, Until::Time(time), async |_, n| {
        let (id, customer) = (fresh_id(), customer(n));
        let body = format!(
            r#"{{"bookingId":"{id}","customerId":"{customer}","hold":true,"lines":[{{"product":{{"productId":"{product}","quantity":1}}}}]}}"#
        );
        let mut connection =
            Connection::take(address).await.map_err(|error| Status::unavailable(error.to_string()))?;
        let answered = connection.post(address, &body).await;
        match answered.map_err(|error| Status::unavailable(error.to_string()))? {
            200 => connection.give_back(),
            status => return Err(Status::internal(format!("HTTP {status}"))),
        }
        Ok(())
    })?;
    tally.sound().context("holds over REST")
}

thread_local! {
    /// The connections of this generator that nobody uses.
    static IDLE: RefCell<Vec<Connection>> = const { RefCell::new(Vec::new()) };
}

/// Just enough of HTTP/1.1 (RFC 9112) to send JSON and to know when its answer ends: as frugal as can be.
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    async fn take(address: &str) -> Result<Self> {
        if let Some(idle) = IDLE.with_borrow_mut(Vec::pop) {
            return Ok(idle);
        }
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::with_capacity(2_048) })
    }

    fn give_back(self) {
        IDLE.with_borrow_mut(|idle| idle.push(self));
    }

    /// Answers the status.
    async fn post(&mut self, address: &str, body: &str) -> Result<u16> {
        let length = body.len();
        let request = format!(
            "POST /v1/bookings HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.answer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.answer).await?;
            anyhow::ensure!(read > 0, "the connection was closed");
            if let Some((status, end)) = head(&self.answer)
                && self.answer.len() >= end
            {
                return Ok(status);
            }
        }
    }
}

/// The status of an answer, and where it ends; none: its head is not all there.
fn head(answer: &[u8]) -> Option<(u16, usize)> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
    Some((status, end + length.parse::<usize>().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_ends_where_its_head_says() {
        let answer = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(head(answer), Some((200, answer.len())));
        assert_eq!(head(&answer[..40]), None);
    }
}
