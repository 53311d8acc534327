//! Every step but those of a change, with all kinds of bookings on their way.

use failpoint::{Program, Step};
use futures::join;
use stack::Options;
use system_tests::{Acknowledged, Armed, Outcome, OwnStack, World, hasty, own};

use super::lives::{Goods, live};

/// What a step is made to do.
const ACTIONS: [&str; 2] = ["abort", "error"];

/// Sweeps that come at once, and drafts that are soon forgotten.
fn restless() -> Options {
    hasty()
        .env("HOLDFAST_SWEEP_INTERVAL_MS", "100")
        .env("HOLDFAST_REVIEW_GRACE_MS", "100")
        .env("HOLDFAST_DRAFT_TTL_MS", "1000")
}

/// Lets bookings live through a program that dies or fails at a step, until it has.
async fn live_through(stack: &OwnStack, world: &World, program: Program, step: Step, action: &str) {
    let goods = Goods::new(world).await;
    let armed = Armed::start(stack, program, step, action).await;
    let mut told = Acknowledged::default();
    let lives = async {
        for n in 0.. {
            told.extend(Box::pin(live(world, &goods, n)).await);
            if armed.is_reached() {
                return;
            }
        }
    };
    join!(lives, armed.revived());
    world.assert_settles().await;
    told.assert_kept(world).await;
}

/// Every step of a program that bookings come by while it serves.
async fn walk(program: Program, part: impl Fn(Step) -> bool) {
    let stack = own(restless()).await;
    let world = World::of(&stack);
    for step in steps_of(program).filter(|step| part(*step)) {
        for action in ACTIONS {
            eprintln!("{program}: {} {action}", step.name());
            live_through(&stack, &world, program, step, action).await;
        }
    }
    stack.assert_sound();
}

/// The others are walked in `changes`, `migrations` and `refused`.
fn steps_of(program: Program) -> impl Iterator<Item = Step> {
    let steps = Step::ALL.iter().copied().filter(move |step| step.programs().contains(&program));
    let elsewhere = ["migrate.", "change.", "relay.one.", "relay.parked."];
    steps.filter(move |step| !elsewhere.iter().any(|unit| step.name().starts_with(unit)))
}

fn is_relayed(step: Step) -> bool {
    step.name().starts_with("relay.") || step == Step::PublishSent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_catalog_dies_or_fails_nothing_is_lost_or_sold_twice() -> Outcome {
    walk(Program::Catalog, |_| true).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_reservation_dies_or_fails_nothing_is_lost_or_sold_twice() -> Outcome {
    walk(Program::Reservation, |step| !is_relayed(step)).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_relay_dies_or_fails_every_promise_is_kept() -> Outcome {
    walk(Program::Reservation, is_relayed).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_expirer_dies_or_fails_every_hold_ends_at_its_time() -> Outcome {
    walk(Program::Expirer, |_| true).await;
    Ok(())
}
