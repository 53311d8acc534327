//! `holdfast demo`: drives the running Holdfast through the life of bookings, shows what happens, and checks it.

mod lag;
mod shop;
mod stories;
mod table;

use std::path::Path;

use anyhow::{Context, Result};

use crate::client::{Clients, block_on};
use crate::running::Running;

use self::shop::Shop;
use crate::output::line;

/// Plays every story on goods of its own, which it takes off sale at the end, whatever happened.
pub(crate) fn run(home: &Path) -> Result<()> {
    let running = Running::require(home)?;
    block_on(async {
        let clients = Clients::connect(home, &running.ports, running.auth)
            .await
            .context("`make status` shows what is wrong")?;
        let shop = Shop::open(clients).await?;
        line("Holds of a few seconds are asked for here, so that nobody has to wait;");
        line("without that a product is held for 60 seconds and a seat for 10 minutes.");
        let played = play(&shop, running.ports.expirer_http).await;
        let closed = shop.close().await;
        played?;
        closed.context("clean up after the demo")?;
        line("\nAll as it should be. What the demo sold is off sale again; your own data was not touched.");
        Ok(())
    })
}

async fn play(shop: &Shop, expirer_http: u16) -> Result<()> {
    stories::stock_comes_back(shop).await.context("a hold that runs out")?;
    stories::one_seat_one_customer(shop).await.context("one seat")?;
    stories::all_or_nothing(shop).await.context("a mixed booking")?;
    lag::measure(shop, expirer_http).await.context("the expiry lag")
}
