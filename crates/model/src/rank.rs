//! The measure that every step of the calm system decreases. It is why the calm system comes to rest.

use catalog::domain::hold::HoldState;
use reservation::domain::booking::StateName;

use crate::state::{ATTEMPTS, Call, Carried, Case, State, Timer};

/// What is left to do, the weightiest first: who decreases one entry may increase those after it.
pub(crate) type Rank = [u32; 9];

/// How far from rest a state is.
pub(crate) fn of(state: &State) -> Rank {
    let mut sum = Rank::default();
    for case in &state.cases {
        for (total, part) in sum.iter_mut().zip(of_case(case)) {
            *total += part;
        }
    }
    sum
}

fn of_case(case: &Case) -> Rank {
    let calls = case.calls.iter().map(|call| match call {
        Call::None => 0,
        Call::Abandon => 1,
        Call::Placed(_) => 2,
        Call::Read(_) => 3,
        Call::Create { .. } => 4,
    });
    let (open, attempts, left) = match &case.record {
        None => (2, 0, 0),
        Some(record) if record.is_open() => {
            let draft = record.state == StateName::Initiated;
            let attempts = if draft { 2 + ATTEMPTS - usize::from(record.attempt) } else { 0 };
            (1, u32::try_from(attempts).expect("few attempts"), u32::from(record.left))
        }
        Some(_) => (0, 0, 0),
    };
    let timers = case.timers.iter().map(|timer| match timer {
        Timer::None => 0,
        Timer::Answered(_) => 1,
        Timer::Parked => 2,
    });
    let (mut holds, mut reviews, mut sweeps, mut waiting) = (0, 0, 0, 0);
    for (hold, carried) in case.holds.iter().zip(case.sweeps) {
        let active = hold.is_some_and(|hold| hold.state == HoldState::Active);
        let review_left = hold.map_or(0, |hold| hold.review_left);
        holds += hold.map_or(0, |hold| HoldState::Released as u32 - hold.state as u32);
        waiting += u32::from(review_left);
        match carried {
            Carried::Nothing => {
                sweeps += 2 * u32::from(active);
                reviews += 2 * u32::from(active && review_left == 0 && left > 0);
            }
            Carried::Release | Carried::Commit => sweeps += 1,
            Carried::Review(_) => (sweeps, reviews) = (sweeps + 1, reviews + 1),
        }
    }
    let messages =
        3 * u32::from(case.timer_row) + timers.sum::<u32>() + case.settle_rows.count() + case.astray.count();
    [calls.sum(), open, attempts, left, holds, reviews, messages, sweeps, waiting]
}
