//! Attempts at a hold: which one a booking has, and what becomes of the others.

use super::{
    super::{
        command::Verdict,
        promise::{Promise, ReleasedBy, Settlement, promises},
    },
    *,
};

const RELEASE: Result<Reply, Refusal> = Ok(Reply::Verdict(Verdict::Release { expired: None }));

fn hold_with(number: i32) -> Command {
    Command::Hold(Some(placed(attempt(number))))
}

/// The attempts that a change promises to release.
fn released(booking: &Booking, change: &Change) -> Vec<i32> {
    promises(booking, change, ReleasedBy::Outbox)
        .into_iter()
        .filter_map(|promise| match promise {
            Promise::Settle { attempt, verdict: Settlement::Release } => Some(attempt.get()),
            _ => None,
        })
        .collect()
}

#[test]
fn a_hold_gives_the_lines_their_prices_and_the_booking_its_total_and_deadline() {
    let mut booking = in_state(StateName::Initiated);
    let now = CREATED + Duration::seconds(5);
    let change = obey(&mut booking, &hold_with(2), now);
    let hold = Hold { held_at: now, deadline: now + TTL, ..hold() };
    assert_eq!(booking.state, State::Held(hold));
    assert_eq!(booking.lines, lines(true));
    assert_eq!(change.steps[0].deadline, Some(now + TTL));
    assert_eq!(change.stray, None);
}

#[test]
fn a_hold_that_a_verdict_ended_meanwhile_loses_and_the_next_attempt_wins() {
    let mut booking = in_state(StateName::Initiated);
    let (change, answer) = apply(&mut booking, &Command::Resolve(own_attempt()), CREATED);
    assert_eq!((change.attempt_moved, answer), (true, RELEASE));
    assert_eq!(booking.attempt, attempt(3));
    let moved = booking.clone();
    let late = apply(&mut booking, &hold_with(2), CREATED + TICK);
    assert_eq!(late, (Change::default(), Err(Refusal::Superseded)), "whoever released it takes care of it");
    assert_eq!(booking, moved);
    obey(&mut booking, &hold_with(3), CREATED + TICK);
    assert_eq!(booking.state.name(), StateName::Held);
}

#[test]
fn a_verdict_on_an_attempt_that_a_draft_has_behind_it_moves_nothing() {
    let mut booking = in_state(StateName::Initiated);
    for command in [Command::Resolve(attempt(1)), Command::Abandon(attempt(1))] {
        let change = obey(&mut booking, &command, CREATED + TICK);
        assert!(!change.attempt_moved);
        assert_eq!(booking, in_state(StateName::Initiated));
    }
}

#[test]
fn a_verdict_on_an_attempt_ahead_of_a_draft_takes_the_draft_past_it() {
    let mut booking = in_state(StateName::Initiated);
    assert_eq!(apply(&mut booking, &Command::Resolve(attempt(7)), CREATED).1, RELEASE);
    assert_eq!(booking.attempt, attempt(8));
    assert_eq!(apply(&mut booking, &hold_with(7), CREATED).1, Err(Refusal::Superseded));
}

#[test]
fn a_draft_that_ran_out_keeps_its_attempt_and_releases_whatever_comes() {
    let mut booking = in_state(StateName::Initiated);
    let (change, answer) = apply(&mut booking, &Command::Resolve(own_attempt()), DEADLINE);
    assert_eq!((change.attempt_moved, answer), (false, RELEASE));
    assert_eq!(booking.state, State::Expired { hold: None, expired_at: DEADLINE });
    let (change, answer) = apply(&mut booking, &hold_with(2), DEADLINE);
    assert_eq!(answer, Err(Refusal::Illegal { from: StateName::Expired, to: StateName::Held }));
    assert_eq!(released(&booking, &change), [2]);
}

#[test]
fn the_hold_of_a_booking_that_is_over_is_released_in_its_own_name() {
    for state in [StateName::Refunded, StateName::Cancelled, StateName::Expired] {
        for number in [1, 2, 3] {
            let mut booking = in_state(state);
            let (change, answer) = apply(&mut booking, &hold_with(number), DEADLINE);
            assert_eq!(answer, Err(Refusal::Illegal { from: state, to: StateName::Held }));
            assert_eq!(change.stray, Some(attempt(number)));
            assert_eq!(released(&booking, &change), [number]);
        }
    }
}

#[test]
fn a_booking_that_goes_on_releases_nothing_because_a_hold_comes_again() {
    for state in [StateName::Initiated, StateName::Held, StateName::PaymentPending, StateName::Confirmed] {
        for number in [1, 2, 3] {
            let mut booking = in_state(state);
            let (change, _) = apply(&mut booking, &hold_with(number), DEADLINE - TICK);
            assert_eq!(released(&booking, &change), [0; 0], "attempt {number} on {}", state.as_str());
        }
    }
}

#[test]
fn superseded_attempts_are_released_whatever_became_of_the_booking() {
    for state in StateName::ALL {
        let mut booking = in_state(state);
        let (_, answer) = apply(&mut booking, &Command::Resolve(attempt(1)), DEADLINE - TICK);
        assert_eq!(answer, RELEASE, "{}", state.as_str());
    }
}

#[test]
fn an_abandoned_hold_is_released_unless_it_is_the_bookings() {
    let kept = [StateName::Held, StateName::PaymentPending, StateName::Confirmed];
    for state in StateName::ALL {
        for number in [1, 2, 3] {
            let mut booking = in_state(state);
            let change = obey(&mut booking, &Command::Abandon(attempt(number)), DEADLINE - TICK);
            let expected = if kept.contains(&state) && number == 2 { vec![] } else { vec![number] };
            assert_eq!(released(&booking, &change), expected, "attempt {number} on {}", state.as_str());
        }
    }
}

#[test]
fn a_draft_whose_attempt_was_abandoned_makes_the_next_one() {
    let mut booking = in_state(StateName::Initiated);
    let change = obey(&mut booking, &Command::Abandon(own_attempt()), CREATED + TICK);
    assert!(change.attempt_moved);
    assert_eq!((booking.attempt, booking.updated_at), (attempt(3), CREATED));
    assert_eq!(apply(&mut booking, &hold_with(2), CREATED + TICK).1, Err(Refusal::Superseded));
    obey(&mut booking, &hold_with(3), CREATED + TICK);
}

#[test]
fn a_verdict_names_the_deadline_only_when_that_ended_the_hold() {
    let resolve = Command::Resolve(own_attempt());
    let mut booking = in_state(StateName::Held);
    let verdict = apply(&mut booking, &resolve, DEADLINE - TICK).1;
    assert_eq!(verdict, Ok(Reply::Verdict(Verdict::NotDue { deadline: DEADLINE })));
    let verdict = apply(&mut booking, &resolve, DEADLINE).1;
    assert_eq!(verdict, Ok(Reply::Verdict(Verdict::Release { expired: Some(DEADLINE) })));
    for state in [StateName::Cancelled, StateName::Refunded] {
        assert_eq!(apply(&mut in_state(state), &resolve, DEADLINE).1, RELEASE);
    }
}

#[test]
fn a_tombstone_refuses_every_hold_and_has_it_released() {
    let state = State::Expired { hold: None, expired_at: CREATED };
    let tombstone = Booking { customer_id: String::new(), lines: vec![], ..booking(state) };
    assert!(tombstone.is_tombstone());
    for number in [1, 2] {
        let mut booking = tombstone.clone();
        let (change, answer) = apply(&mut booking, &hold_with(number), CREATED + TICK);
        assert_eq!(answer, Err(Refusal::Illegal { from: StateName::Expired, to: StateName::Held }));
        assert_eq!(released(&booking, &change), [number]);
        assert_eq!(apply(&mut booking, &Command::Resolve(attempt(number)), CREATED + TICK).1, RELEASE);
        assert_eq!(booking, tombstone);
    }
}
