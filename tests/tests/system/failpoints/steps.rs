//! The steps of placing, settling, deciding, carrying over and sweeping, with all kinds of bookings on their way and a sweep that
//! never rests.

use failpoint::{Program, Step};
use futures::join;
use stack::Options;
use system_tests::{Acknowledged, Armed, Outcome, World, hasty, own};

use super::lives::{Goods, live};

/// What a step is made to do.
pub(super) const ACTIONS: [&str; 2] = ["abort", "error"];

/// The steps of these units, and no others, are walked here.
const UNITS: [&str; 10] =
    ["place.", "settle.", "overdue.", "create.", "hold.", "resolve.", "drafts.", "due.", "carry.", "sweep."];

/// Sweeps that come at once, and drafts that are soon forgotten.
fn restless() -> Options {
    hasty()
        .env("HOLDFAST_SWEEP_INTERVAL_MS", "100")
        .env("HOLDFAST_REVIEW_GRACE_MS", "100")
        .env("HOLDFAST_MAX_OPEN_HOLDS_PER_CUSTOMER", "1000")
        .env("HOLDFAST_DRAFT_TTL_MS", "1000")
}

pub(super) fn is_walked_here(step: Step) -> bool {
    UNITS.iter().any(|unit| step.name().starts_with(unit))
}

/// Lets bookings live through a program that dies or fails at a step, until it has. Everything settles after that, and what
/// clients were told is true.
pub(super) async fn live_through(
    world: &World,
    armed: &Armed<'_>,
    live: impl AsyncFn(usize) -> Acknowledged,
) {
    let mut told = Acknowledged::default();
    let lives = async {
        for n in 0.. {
            told.extend(live(n).await);
            if armed.is_reached() {
                return;
            }
        }
    };
    join!(lives, armed.revived());
    world.assert_settles().await;
    told.assert_kept(world).await;
}

/// Every step of a program that is walked here.
async fn walk(program: Program) {
    let stack = own(restless()).await;
    let world = World::of(&stack);
    let steps = Step::ALL.iter().copied().filter(|step| step.programs().contains(&program));
    for step in steps.filter(|step| is_walked_here(*step)) {
        for action in ACTIONS {
            eprintln!("{program}: {} {action}", step.name());
            let goods = Goods::new(&world).await;
            let armed = Armed::start(&stack, program, step, action).await;
            live_through(&world, &armed, async |n| Box::pin(live(&world, &goods, n)).await).await;
        }
    }
    stack.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_catalog_dies_or_fails_nothing_is_lost_or_sold_twice() -> Outcome {
    walk(Program::Catalog).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_reservation_dies_or_fails_nothing_is_lost_or_sold_twice() -> Outcome {
    walk(Program::Reservation).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_expirer_dies_or_fails_every_hold_ends() -> Outcome {
    walk(Program::Expirer).await;
    Ok(())
}
