//! Extensions: counted from the first deadline, so that they can be repeated, and capped by the longest life.

use super::*;

/// How much later than its first deadline a hold may last by the rules.
const MOST: Duration = Duration::seconds(POLICY.max_hold.whole_seconds() - TTL.whole_seconds());

fn held_until(booking: &Booking) -> OffsetDateTime {
    let State::Held(hold) = &booking.state else { panic!("the booking is held") };
    hold.deadline
}

#[test]
fn an_extension_moves_the_deadline_to_so_much_after_the_first_one() {
    let mut booking = in_state(StateName::Held);
    let change = obey(&mut booking, &Command::Extend(Duration::seconds(30)), CREATED);
    assert_eq!(held_until(&booking), DEADLINE + Duration::seconds(30));
    assert_eq!(change.steps.len(), 1);
    assert_eq!(change.steps[0].deadline, Some(DEADLINE + Duration::seconds(30)));
    let hold = Hold { deadline: DEADLINE + Duration::seconds(30), ..hold() };
    assert_eq!(booking.state, State::Held(hold), "and changes nothing else of the hold");
}

#[test]
fn an_extension_repeated_at_any_time_changes_nothing() {
    let mut booking = in_state(StateName::Held);
    let extension = Command::Extend(Duration::seconds(30));
    obey(&mut booking, &extension, CREATED);
    let once = booking.clone();
    for now in [CREATED, CREATED + Duration::seconds(10), DEADLINE, DEADLINE + Duration::seconds(30) - TICK] {
        assert_eq!(obey(&mut booking, &extension, now), Change::default());
        assert_eq!(booking, once);
    }
}

#[test]
fn two_extensions_count_from_the_same_deadline_and_the_longer_one_stands() {
    for order in [[30, 60], [60, 30]] {
        let mut booking = in_state(StateName::Held);
        for seconds in order {
            obey(&mut booking, &Command::Extend(Duration::seconds(seconds)), CREATED);
        }
        assert_eq!(held_until(&booking), DEADLINE + Duration::seconds(60), "{order:?}");
    }
}

#[test]
fn an_extended_hold_does_not_run_out_at_its_old_deadline_but_at_its_new_one() {
    let mut booking = in_state(StateName::Held);
    obey(&mut booking, &Command::Extend(Duration::seconds(30)), DEADLINE - TICK);
    obey(&mut booking, &Command::Review, DEADLINE);
    obey(&mut booking, &Command::Review, DEADLINE + Duration::seconds(30) - TICK);
    assert_eq!(booking.state.name(), StateName::Held);
    obey(&mut booking, &Command::Review, DEADLINE + Duration::seconds(30));
    assert_eq!(booking.state.name(), StateName::Expired);
}

#[test]
fn an_extension_up_to_the_longest_life_is_given_and_one_beyond_it_refused() {
    let mut booking = in_state(StateName::Held);
    let (change, answer) = apply(&mut booking, &Command::Extend(MOST + TICK), CREATED);
    let latest = CREATED + POLICY.max_hold;
    assert_eq!(answer, Err(Refusal::LifetimeExceeded { latest }));
    assert_eq!((change, &booking), (Change::default(), &in_state(StateName::Held)));
    obey(&mut booking, &Command::Extend(MOST), CREATED);
    assert_eq!(held_until(&booking), latest);
}

#[test]
fn a_hold_that_was_given_longer_than_the_longest_life_is_not_cut() {
    let policy = Policy { max_hold: TTL / 2, ..POLICY };
    let mut booking = in_state(StateName::Held);
    let answer = booking.apply(&Command::Extend(TICK), Known::Unused, &policy, CREATED);
    assert_eq!(answer, (Change::default(), Err(Refusal::LifetimeExceeded { latest: DEADLINE })));
    assert_eq!(booking, in_state(StateName::Held));
}

#[test]
fn an_extension_that_the_payment_window_gave_already_changes_nothing() {
    let policy = Policy { max_hold: TTL, ..POLICY };
    let mut booking = in_state(StateName::Held);
    obey(&mut booking, &Command::StartPayment, DEADLINE - TICK);
    obey(&mut booking, &Command::CompletePayment(failed(1)), DEADLINE - TICK);
    let until = DEADLINE - TICK + POLICY.payment_window;
    assert_eq!(held_until(&booking), until);
    // Although the longest life would not allow it any more.
    let given = Command::Extend(until - DEADLINE);
    let answer = booking.apply(&given, Known::Unused, &policy, DEADLINE);
    assert_eq!(answer, (Change::default(), Ok(Reply::Done)));
    let more = Command::Extend(until - DEADLINE + TICK);
    let (_, answer) = booking.apply(&more, Known::Unused, &policy, DEADLINE);
    assert_eq!(answer, Err(Refusal::LifetimeExceeded { latest: DEADLINE }));
    assert_eq!(held_until(&booking), until);
}
