//! The steps that timers and events pass, while the sweep sleeps and somebody listens: what is lost there stays lost, and is
//! missed.

use failpoint::{Program, Step};
use stack::{Options, ServiceKind};
use system_tests::{Acknowledged, Armed, Lag, News, Outcome, OwnStack, World, counted, own};

use super::{
    lives::{Goods, live_unswept, run_out},
    steps::{ACTIONS, live_through},
};

/// A sweep that comes with each start of an expirer, and finds nothing: no hold is overdue before an hour has passed.
pub(super) fn unswept() -> Options {
    Options::default()
        .env("HOLDFAST_SWEEP_INTERVAL_MS", "3600000")
        .env("HOLDFAST_REVIEW_GRACE_MS", "3600000")
        .env("HOLDFAST_MAX_OPEN_HOLDS_PER_CUSTOMER", "1000")
}

/// The sweep had no part in anything.
pub(super) fn assert_unswept(stack: &OwnStack) {
    for expirer in stack.services().iter().filter(|service| service.kind() == ServiceKind::Expirer) {
        assert_eq!(counted(expirer, "holdfast_sweep_found_total", ""), 0, "{}", expirer.name());
    }
    assert_eq!(Lag::of(stack).by_sweep, 0);
}

pub(super) fn is_walked_here(step: Step) -> bool {
    [Program::Reservation, Program::Expirer].iter().any(|program| has_timers(*program, step))
        || has_events(step)
}

/// Whether timers pass the step in this program.
fn has_timers(program: Program, step: Step) -> bool {
    let units: &[&str] = match program {
        Program::Catalog => &[],
        Program::Reservation => &["relay.timers.", "publish."],
        Program::Expirer => &["due.", "park.", "carry.", "publish."],
    };
    units.iter().any(|unit| step.name().starts_with(unit))
}

/// Whether events pass the step in reservation.
fn has_events(step: Step) -> bool {
    ["relay.events.", "publish."].iter().any(|unit| step.name().starts_with(unit))
}

/// These steps of a program, with these lives. However it dies or fails, each hold is released by a timer, and every booking's
/// events are what its history has to tell.
async fn walk(
    program: Program,
    is_walked: impl Fn(Step) -> bool,
    live: impl AsyncFn(&World, &Goods, usize) -> Acknowledged,
) {
    let stack = own(unswept()).await;
    let world = World::of(&stack);
    let news = News::listen(&stack).await;
    for step in Step::ALL.iter().copied().filter(|step| is_walked(*step)) {
        for action in ACTIONS {
            eprintln!("{program}, unswept: {} {action}", step.name());
            let goods = Goods::new(&world).await;
            let armed = Armed::start(&stack, program, step, action).await;
            live_through(&world, &armed, async |n| Box::pin(live(&world, &goods, n)).await).await;
            news.assert_complete(&world).await;
            assert_unswept(&stack);
        }
    }
    stack.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_relay_dies_or_fails_no_timer_is_lost() -> Outcome {
    let program = Program::Reservation;
    walk(program, |step| has_timers(program, step), async |world, goods, _| run_out(world, goods).await)
        .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_expirer_dies_or_fails_no_timer_is_lost() -> Outcome {
    let program = Program::Expirer;
    walk(program, |step| has_timers(program, step), async |world, goods, _| run_out(world, goods).await)
        .await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_relay_dies_or_fails_no_event_is_lost() -> Outcome {
    walk(Program::Reservation, has_events, live_unswept).await;
    Ok(())
}
