//! How late holds are released: seen from outside, and as the expirer measured it itself.

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use proto::reservation::{Booking, BookingState};
use stack::{http, port};

use super::shop::{Shop, eventually, expect_state};
use super::table::{head, row};

/// So many holds run out one after the other.
const HOLDS: u32 = 20;

/// Lets holds run out and prints how long after its deadline each was expired, and its units were seen on sale.
pub(super) async fn measure(shop: &Shop, expirer_http: u16) -> Result<()> {
    head("4. How late is a release?", "min / median / max");
    let before = Histogram::read(expirer_http)?;
    let mut decided = Vec::new();
    let mut seen = Vec::new();
    for batch in 0..HOLDS / 10 {
        let holds = (0..10_u64).map(|i| {
            let ttl = Duration::from_millis(1_000 + i * 100);
            async move {
                Ok::<_, anyhow::Error>(shop.hold("demo-ada", vec![Shop::units(&shop.tickets, 1)], ttl).await?)
            }
        });
        let bookings = try_join_all(holds).await?;
        for (i, booking) in (1..).zip(&bookings) {
            let product = eventually("the units come back", || async {
                let product = shop.product(&shop.tickets).await?;
                Ok((product.available >= 90 + i).then_some(product))
            });
            product.await?;
            seen.push(milliseconds(booking, SystemTime::now())?);
        }
        for booking in bookings {
            let booking = shop.booking(&booking).await?;
            expect_state(&booking, BookingState::Expired)?;
            let expired = booking.expired_time.context("an expired booking has no expired_time")?;
            decided.push(milliseconds(&booking, SystemTime::try_from(expired)?)?);
        }
        ensure!(shop.product(&shop.tickets).await?.available == 100, "units are missing after batch {batch}");
    }
    ensure!(decided.iter().all(|lag| *lag >= 0.0), "a hold was expired before its deadline");
    row(
        "deadline to EXPIRED, by the reservation database's clock",
        &format!("{HOLDS} holds"),
        &spread(decided),
    );
    row("deadline to the units seen on sale, by a client", &format!("{HOLDS} holds"), &spread(seen));
    let released = Histogram::read(expirer_http)?.since(&before);
    row(
        "deadline to released, by the expirer's own histogram",
        &format!("{} holds", released.count),
        &released.text(),
    );
    Ok(())
}

/// How long after the deadline of a booking `time` was, in milliseconds.
fn milliseconds(booking: &Booking, time: SystemTime) -> Result<f64> {
    let deadline = SystemTime::try_from(booking.expire_time.context("a held booking has no deadline")?)?;
    Ok(match time.duration_since(deadline) {
        Ok(late) => late.as_secs_f64() * 1e3,
        Err(early) => -early.duration().as_secs_f64() * 1e3,
    })
}

fn spread(mut lags: Vec<f64>) -> String {
    lags.sort_by(f64::total_cmp);
    let at = |i: usize| lags.get(i).copied().unwrap_or_default();
    format!("{:.1} / {:.1} / {:.1} ms", at(0), at(lags.len() / 2), at(lags.len().saturating_sub(1)))
}

/// `holdfast_expiry_lag_seconds` of the expirer's `/metrics`, all its series added up.
#[derive(Debug, Default, PartialEq)]
struct Histogram {
    count: u64,
    seconds: f64,
}

impl Histogram {
    fn read(expirer_http: u16) -> Result<Self> {
        let answer =
            http::get(port::loopback(expirer_http), "/metrics").context("read the expirer's metrics")?;
        Ok(Self::parse(&answer.body))
    }

    fn parse(text: &str) -> Self {
        let total = |name: &str| -> f64 {
            let series = text.lines().filter(|line| line.starts_with(name));
            series.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum()
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count in Prometheus text"
        )]
        let count = total("holdfast_expiry_lag_seconds_count") as u64;
        Self { count, seconds: total("holdfast_expiry_lag_seconds_sum") }
    }

    fn since(&self, before: &Self) -> Self {
        Self { count: self.count.saturating_sub(before.count), seconds: self.seconds - before.seconds }
    }

    fn text(&self) -> String {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let mean = self.seconds * 1e3 / self.count.max(1) as f64;
        format!("mean {mean:.1} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_histogram_adds_up_all_paths() {
        let text = "# TYPE holdfast_expiry_lag_seconds histogram\n\
            holdfast_expiry_lag_seconds_bucket{path=\"timer\",le=\"0.001\"} 7\n\
            holdfast_expiry_lag_seconds_sum{path=\"timer\"} 0.5\n\
            holdfast_expiry_lag_seconds_count{path=\"timer\"} 20\n\
            holdfast_expiry_lag_seconds_sum{path=\"sweep\"} 0.25\n\
            holdfast_expiry_lag_seconds_count{path=\"sweep\"} 1\n";
        let now = Histogram::parse(text);
        assert_eq!(now, Histogram { count: 21, seconds: 0.75 });
        assert_eq!(now.since(&Histogram { count: 11, seconds: 0.25 }).text(), "mean 50.0 ms");
    }

    #[test]
    fn the_spread_names_the_least_the_middle_and_the_most() {
        assert_eq!(spread(vec![3.0, 1.0, 2.0]), "1.0 / 2.0 / 3.0 ms");
    }
}
