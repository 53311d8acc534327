//! What is measured, each scenario in a module of its own, on a stack of its own.

mod auth;
mod counts;
mod expiry;
mod footprint;
mod history;
mod hot;
mod idle;
mod latency;
mod life;
mod pair;
mod parked;
mod peak;
mod reads;
mod replicas;
mod rest;
mod seats;
mod spread;
mod storm;
mod traces;

use anyhow::Result;
use stack::Options;

pub use self::counts::{COMMITS, LOG_BYTES, MESSAGES, STATEMENTS};
use crate::echo::Echo;
use crate::figure::Report;
use crate::scale::Scale;
use crate::site::Site;

/// What all scenarios work with.
#[derive(Debug)]
pub struct Bench {
    /// How large and how long.
    pub scale: Scale,
    /// Baseline E.
    pub echo: Echo,
}

impl Bench {
    /// Starts a stack for a scenario, that has been in use for a while where figures are judged.
    ///
    /// # Errors
    /// It does not start.
    pub fn site(&self, options: Options) -> Result<Site> {
        let site = Site::start(options)?;
        if self.scale.judged {
            site.write_ahead()?;
        }
        Ok(site)
    }

    /// Says what goes on.
    pub fn say(&self, what: impl AsRef<str>) {
        println!("    {}", what.as_ref());
    }
}

/// A scenario.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Runs it, and fills in the report. An error: something is wrong with Holdfast or with the bench, whatever the figures.
    pub run: fn(&Bench, &mut Report) -> Result<()>,
}

const fn scenario(
    name: &'static str,
    what: &'static str,
    run: fn(&Bench, &mut Report) -> Result<()>,
) -> Scenario {
    Scenario { name, what, run }
}

/// All of them, in their order.
pub const ALL: [Scenario; 17] = [
    scenario("hot", "holds on one product that everyone wants, against raw SQL and bare gRPC", hot::run),
    scenario("spread", "holds on many products", spread::run),
    scenario("seats", "holds on seats, in no order", seats::run),
    scenario("life", "whole lives: held, paid, some cancelled or paid back", life::run),
    scenario("latency", "latency at half of the peak", latency::run),
    scenario("idle", "one hold at a time", idle::run),
    scenario("reads", "reads of bookings, products and seats", reads::run),
    scenario("replicas", "two of each service against one", replicas::run),
    scenario("rest", "holds over REST, against gRPC", rest::run),
    scenario("auth", "holds by callers with tokens, against callers that nobody asks", auth::run),
    scenario("traces", "what traces and logs cost that nobody asked for", traces::run),
    scenario("expiry", "how late holds are released that run out", expiry::run),
    scenario("storm", "very many holds that run out within one second", storm::run),
    scenario("parked", "very many open holds", parked::run),
    scenario("history", "tables full of settled bookings", history::run),
    scenario("footprint", "memory, time to start, size", footprint::run),
    scenario("counts", "statements, commits and messages for 1,000 holds", counts::run),
];
