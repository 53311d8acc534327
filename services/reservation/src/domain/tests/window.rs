//! The payment window: more time to pay, once.

use super::*;

fn deadline(booking: &Booking) -> OffsetDateTime {
    booking.state.open_until().expect("the booking is open")
}

#[test]
fn starting_a_payment_gives_at_least_the_window() {
    let mut booking = in_state(StateName::Held);
    let now = DEADLINE - Duration::seconds(1);
    let change = obey(&mut booking, &Command::StartPayment, now);
    assert_eq!(deadline(&booking), now + POLICY.payment_window);
    assert_eq!(change.steps[0].deadline, Some(now + POLICY.payment_window));
}

#[test]
fn the_window_never_makes_the_deadline_earlier() {
    let mut booking = in_state(StateName::Held);
    let far = DEADLINE + Duration::minutes(10);
    obey(&mut booking, &Command::Extend(Duration::minutes(10)), CREATED);
    obey(&mut booking, &Command::StartPayment, CREATED);
    assert_eq!(deadline(&booking), far);
    // Given is given, although it was of no use.
    obey(&mut booking, &Command::CompletePayment(failed(1)), CREATED);
    obey(&mut booking, &Command::StartPayment, far - TICK);
    assert_eq!(deadline(&booking), far);
}

#[test]
fn the_window_is_given_once_however_many_payments_are_started() {
    let mut booking = in_state(StateName::Held);
    obey(&mut booking, &Command::StartPayment, CREATED);
    let given = CREATED + POLICY.payment_window;
    for number in 1..5 {
        let now = CREATED + Duration::seconds(i64::try_from(number).unwrap());
        obey(&mut booking, &Command::StartPayment, now);
        assert_eq!(deadline(&booking), given);
        obey(&mut booking, &Command::CompletePayment(failed(number)), now);
        assert_eq!(deadline(&booking), given);
        obey(&mut booking, &Command::StartPayment, now);
        assert_eq!(deadline(&booking), given);
    }
    let (_, answer) = apply(&mut booking, &Command::CompletePayment(paid(9)), given);
    assert_eq!(answer, Err(Refusal::HoldExpired));
}

#[test]
fn a_payment_in_one_go_gives_no_window_and_leaves_it_for_later() {
    let mut booking = in_state(StateName::Held);
    obey(&mut booking, &Command::Pay(failed(1)), CREATED);
    assert_eq!(booking.state, State::Held(hold()));
    obey(&mut booking, &Command::StartPayment, DEADLINE - TICK);
    assert_eq!(deadline(&booking), DEADLINE - TICK + POLICY.payment_window);
}

#[test]
fn a_payment_in_one_go_takes_two_steps_and_only_the_second_names_it() {
    for (payment, to) in [(paid(1), StateName::Confirmed), (failed(1), StateName::Held)] {
        let mut booking = in_state(StateName::Held);
        let change = obey(&mut booking, &Command::Pay(payment), CREATED);
        let taken: Vec<_> = change.steps.iter().map(|step| (step.from, step.to, step.reference)).collect();
        let pending = StateName::PaymentPending;
        assert_eq!(taken, [(StateName::Held, pending, None), (pending, to, Some(payment.id.get()))]);
        assert!(change.steps.iter().all(|step| step.deadline == Some(DEADLINE)));
    }
}

#[test]
fn the_window_counts_from_the_payment_and_is_over_at_its_end() {
    let start = DEADLINE - TICK;
    for (now, state) in [
        (start + POLICY.payment_window - TICK, StateName::Confirmed),
        (start + POLICY.payment_window, StateName::Expired),
    ] {
        let mut booking = in_state(StateName::Held);
        obey(&mut booking, &Command::StartPayment, start);
        let (_, answer) = apply(&mut booking, &Command::CompletePayment(paid(1)), now);
        assert_eq!(answer.is_ok(), state == StateName::Confirmed);
        assert_eq!(booking.state.name(), state);
    }
}
