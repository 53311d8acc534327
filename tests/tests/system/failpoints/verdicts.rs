//! The steps of carrying a verdict over to the catalog, each for every kind of verdict: COMMIT of what is paid, RELEASE of what
//! is cancelled, refunded or has run out. The sweep sleeps: a verdict that is lost stays lost.

use failpoint::{Program, Step};
use futures::join;
use system_tests::{Armed, Outcome, World, own};

use super::{
    changes::{Change, Goods},
    lives::Client,
    steps::ACTIONS,
    unswept::{assert_unswept, unswept},
};

/// By which change a verdict comes about.
const CAUSES: [Change; 4] = [Change::Pay, Change::Cancel, Change::Refund, Change::Expire];

/// Whether a verdict of this cause passes the step. Of one that runs out the expirer tells the catalog; no sweep puts it off.
fn is_passed(cause: Change, program: Program, step: Step) -> bool {
    match program {
        Program::Catalog => step.name().starts_with("settle.") && step != Step::SettleReviewed,
        Program::Reservation => cause != Change::Expire && step.name().starts_with("relay.settles."),
        Program::Expirer => false,
    }
}

pub(super) fn is_walked_here(step: Step) -> bool {
    let is_passed = |program: &Program| CAUSES.iter().any(|cause| is_passed(*cause, *program, step));
    step.programs().iter().any(is_passed)
}

async fn walk(program: Program) {
    let stack = own(unswept()).await;
    let world = World::of(&stack);
    let goods = Goods::new(&world).await;
    for cause in CAUSES {
        for step in Step::ALL.iter().copied().filter(|step| is_passed(cause, program, *step)) {
            for action in ACTIONS {
                eprintln!("{cause:?}: {} {action}", step.name());
                let mut client = Client::new(&world);
                let id = cause.prepare(&mut client, &goods).await;
                world.assert_settles().await;
                let armed = Armed::start(&stack, program, step, action).await;
                let (id, ()) = join!(cause.make(&mut client, &goods, id), armed.revived());
                assert_eq!(world.record(&id).await.path(), cause.path(), "{cause:?}");
                world.assert_settles().await;
                client.told.assert_kept(&world).await;
                assert_unswept(&stack);
            }
        }
    }
    stack.assert_sound();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_catalog_dies_or_fails_each_kind_of_verdict_is_carried_out() -> Outcome {
    walk(Program::Catalog).await;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wherever_the_relay_dies_or_fails_each_kind_of_verdict_is_carried_over() -> Outcome {
    walk(Program::Reservation).await;
    Ok(())
}
