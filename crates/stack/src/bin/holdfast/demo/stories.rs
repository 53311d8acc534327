//! What the demo shows: three short stories, each checked as it is told.

use std::time::Duration;

use anyhow::{Result, ensure};
use proto::catalog::{Product, SeatState};
use proto::reservation::BookingState;

use super::shop::{Shop, expect_state, refused};
use super::table::{head, row};

/// Long enough to be seen, short enough to be waited for.
const SHORT: Duration = Duration::from_secs(3);
/// Longer than any story.
const LONG: Duration = Duration::from_mins(1);

/// Five of a hundred are held, run out, and are on sale again.
pub(super) async fn stock_comes_back(shop: &Shop) -> Result<()> {
    head("1. A hold that runs out", "tickets");
    row("100 tickets are on sale", "", &counts(&shop.product(&shop.tickets).await?, [100, 0, 0])?);
    let booking = shop.hold("demo-ada", vec![Shop::units(&shop.tickets, 5)], SHORT).await?;
    let answer = expect_state(&booking, BookingState::Held)?;
    let tickets = shop.product(&shop.tickets).await?;
    row("Ada holds 5 of them, for 3 seconds", &answer, &counts(&tickets, [95, 5, 0])?);
    tokio::time::sleep(SHORT.saturating_sub(Duration::from_millis(500))).await;
    let answer = expect_state(&shop.booking(&booking).await?, BookingState::Held)?;
    let tickets = shop.product(&shop.tickets).await?;
    row("2.5 seconds later they are still hers", &answer, &counts(&tickets, [95, 5, 0])?);
    let tickets = shop.available_becomes(&shop.tickets, 100).await?;
    let answer = expect_state(&shop.booking(&booking).await?, BookingState::Expired)?;
    row("the time runs out: nobody does anything", &answer, &counts(&tickets, [100, 0, 0])?);
    Ok(())
}

/// A seat is held, refused to another, paid for, refunded and free again.
pub(super) async fn one_seat_one_customer(shop: &Shop) -> Result<()> {
    head("2. One seat, one customer", "seat 12A");
    let seat = async || -> Result<String> { Ok(name(shop.seat_state("12A").await?)) };
    row("the flight is on sale", "", &seat().await?);
    let booking = shop.hold("demo-ada", vec![shop.seat("12A")], LONG).await?;
    row("Ada holds 12A", &expect_state(&booking, BookingState::Held)?, &seat().await?);
    let answer = refused(shop.hold("demo-bob", vec![shop.seat("12A")], LONG).await, "SEAT_TAKEN")?;
    row("Bob wants it too", &answer, &seat().await?);
    let paid = shop.pay(&booking).await?;
    let answer = expect_state(&paid, BookingState::Confirmed)?;
    shop.seat_becomes("12A", SeatState::Sold).await?;
    row("Ada pays", &answer, &seat().await?);
    let answer = refused(shop.hold("demo-bob", vec![shop.seat("12A")], LONG).await, "SEAT_TAKEN")?;
    row("Bob tries again", &answer, &seat().await?);
    let answer = expect_state(&shop.refund(&booking).await?, BookingState::Refunded)?;
    shop.seat_becomes("12A", SeatState::Free).await?;
    row("Ada gets her money back", &answer, &seat().await?);
    let booking = shop.hold("demo-bob", vec![shop.seat("12A")], LONG).await?;
    row("Bob holds 12A", &expect_state(&booking, BookingState::Held)?, &seat().await?);
    let answer = expect_state(&shop.cancel(&booking).await?, BookingState::Cancelled)?;
    shop.seat_becomes("12A", SeatState::Free).await?;
    row("and changes his mind", &answer, &seat().await?);
    Ok(())
}

/// Two seats and two meals are booked together, or not at all.
pub(super) async fn all_or_nothing(shop: &Shop) -> Result<()> {
    head("3. Two seats and two meals: all or nothing", "seats, meals");
    let order = || vec![shop.seat("14C"), shop.seat("14D"), Shop::units(&shop.meals, 2)];
    let goods = async |free: i64, held: i64| -> Result<String> {
        let (c, d) = (shop.seat_state("14C").await?, shop.seat_state("14D").await?);
        let meals = counts(&shop.product(&shop.meals).await?, [free, held, 0])?;
        Ok(format!("14C {}, 14D {}; {meals}", name(c), name(d)))
    };
    row("the flight and 50 meals are on sale", "", &goods(50, 0).await?);
    let bobs = shop.hold("demo-bob", vec![shop.seat("14D")], LONG).await?;
    row("Bob holds 14D", &expect_state(&bobs, BookingState::Held)?, &goods(50, 0).await?);
    let answer = refused(shop.hold("demo-ada", order(), LONG).await, "SEAT_TAKEN")?;
    ensure!(shop.seat_state("14C").await? == SeatState::Free, "14C was taken by a booking that failed");
    row("Ada wants 14C, 14D and two meals: nothing is taken", &answer, &goods(50, 0).await?);
    let answer = expect_state(&shop.cancel(&bobs).await?, BookingState::Cancelled)?;
    shop.seat_becomes("14D", SeatState::Free).await?;
    row("Bob cancels", &answer, &goods(50, 0).await?);
    let booking = shop.hold("demo-ada", order(), LONG).await?;
    row(
        "Ada asks again: she gets all of it",
        &expect_state(&booking, BookingState::Held)?,
        &goods(48, 2).await?,
    );
    let answer = expect_state(&shop.cancel(&booking).await?, BookingState::Cancelled)?;
    shop.seat_becomes("14D", SeatState::Free).await?;
    shop.available_becomes(&shop.meals, 50).await?;
    row("and cancels", &answer, &goods(50, 0).await?);
    Ok(())
}

fn name(state: SeatState) -> String {
    state.as_str_name().trim_start_matches("SEAT_STATE_").to_owned()
}

/// The counts of a product as people write them; fails when they are not the ones expected.
fn counts(product: &Product, expected: [i64; 3]) -> Result<String> {
    let now = [product.available, product.held, product.sold];
    ensure!(now == expected, "available, held, sold are {now:?} and should be {expected:?}");
    Ok(format!("{} available, {} held, {} sold", now[0], now[1], now[2]))
}
