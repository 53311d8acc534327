//! What a process does that was told to fail: in one that has failpoints, and in one that has none.

use failpoint::{Program, Step, arm_as, reach};

#[cfg(feature = "failpoints")]
#[tokio::test]
async fn a_step_fails_as_often_as_it_was_told_to_and_waits_once() {
    assert_eq!(arm_as(Program::Reservation, "create.placed=error:2,hold.placed=delay:1"), Ok(()));
    let mut failed = Vec::new();
    for _ in 0..4 {
        failed.push(reach(Step::CreatePlaced).await.is_err());
    }
    assert_eq!(failed, [true, true, false, false]);
    for _ in 0..2 {
        assert_eq!(reach(Step::HoldPlaced).await, Ok(()));
    }
    // Nobody said anything of this one.
    assert_eq!(reach(Step::CreateRecorded).await, Ok(()));
}

#[cfg(not(feature = "failpoints"))]
#[tokio::test]
async fn a_program_without_failpoints_refuses_to_be_told_and_passes_every_step() {
    assert_eq!(arm_as(Program::Reservation, "create.placed=error"), Err(failpoint::ArmError::NotBuiltIn));
    assert_eq!(reach(Step::CreatePlaced).await, Ok(()));
}
