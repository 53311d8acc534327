//! Payments and refunds: what is recorded, what is owed back, and what the same id means the second time.

use super::{
    super::{
        command::PaymentOutcome,
        promise::{Promise, ReleasedBy, promises},
    },
    *,
};

const OUTCOMES: [PaymentOutcome; 3] =
    [PaymentOutcome::Accepted, PaymentOutcome::Failed, PaymentOutcome::RefundDue];

fn of_this_booking(outcome: PaymentOutcome) -> Known {
    Known::Payment { booking_id: own_id(), outcome }
}

/// Both ways to report a payment.
fn reports(payment: Payment) -> [Command; 2] {
    [Command::CompletePayment(payment), Command::Pay(payment)]
}

/// The payments whose refund a change announces.
fn refunds_due(booking: &Booking, change: &Change) -> Vec<Uuid> {
    promises(booking, change, ReleasedBy::Outbox)
        .into_iter()
        .filter_map(|promise| match promise {
            Promise::Event { subject: "payment.refund_due", reference, .. } => reference,
            _ => None,
        })
        .collect()
}

#[test]
fn a_payment_in_time_confirms_the_booking_and_is_named_in_it() {
    for command in reports(paid(1)) {
        let mut booking = in_state(StateName::PaymentPending);
        let change = obey(&mut booking, &command, DEADLINE - TICK);
        assert_eq!(booking.state, State::Confirmed { hold: hold(), payment_id: paid(1).id });
        assert_eq!(change.payment, Some((paid(1).id, PaymentOutcome::Accepted)));
        assert_eq!(change.steps[0].reference, Some(paid(1).id.get()));
        assert_eq!(change.steps[0].deadline, Some(DEADLINE));
        assert!(refunds_due(&booking, &change).is_empty());
    }
}

#[test]
fn a_failed_payment_is_recorded_and_leaves_the_hold_as_it_was() {
    for command in reports(failed(1)) {
        let mut booking = in_state(StateName::PaymentPending);
        let change = obey(&mut booking, &command, DEADLINE - TICK);
        assert_eq!(booking.state, State::Held(hold()));
        assert_eq!(change.payment, Some((failed(1).id, PaymentOutcome::Failed)));
        assert_eq!(change.steps.len(), 1);
    }
}

#[test]
fn a_payment_that_failed_when_no_time_was_left_is_recorded_and_the_booking_is_expired() {
    for command in reports(failed(1)) {
        let mut booking = in_state(StateName::PaymentPending);
        let change = obey(&mut booking, &command, DEADLINE);
        assert_eq!(booking.state, State::Expired { hold: Some(hold()), expired_at: DEADLINE });
        assert_eq!(change.payment, Some((failed(1).id, PaymentOutcome::Failed)));
        assert!(refunds_due(&booking, &change).is_empty());
    }
}

#[test]
fn money_that_came_too_late_is_recorded_and_its_refund_announced_once() {
    let late = [
        (StateName::Held, Refusal::HoldExpired),
        (StateName::PaymentPending, Refusal::HoldExpired),
        (StateName::Initiated, Refusal::HoldExpired),
        (StateName::Expired, Refusal::HoldExpired),
        (StateName::Cancelled, Refusal::BookingCancelled),
        (StateName::Confirmed, Refusal::AlreadyPaid),
        (StateName::Refunded, Refusal::AlreadyPaid),
    ];
    for (state, refusal) in late {
        for command in reports(paid(1)) {
            let mut booking = in_state(state);
            let expected = aged(&booking, DEADLINE);
            let (change, answer) = apply(&mut booking, &command, DEADLINE);
            assert_eq!(answer, Err(refusal), "{}", state.as_str());
            assert_eq!(change.payment, Some((paid(1).id, PaymentOutcome::RefundDue)));
            assert_eq!(refunds_due(&booking, &change), [paid(1).id.get()]);
            assert_eq!(booking, expected, "the money changes nothing of the booking");

            // The same report again, and the other way to report it: the same answer, and nothing more.
            for again in reports(paid(1)) {
                let known = of_this_booking(PaymentOutcome::RefundDue);
                let (change, answer) = booking.apply(&again, known, &POLICY, DEADLINE + TICK);
                assert_eq!(answer, Err(refusal), "{}", state.as_str());
                assert_eq!(change, Change::default());
                assert_eq!(booking, expected);
            }
        }
    }
}

#[test]
fn money_for_a_booking_that_waits_for_none_is_refused_and_not_recorded() {
    for (state, command) in [
        (StateName::Initiated, Command::CompletePayment(paid(1))),
        (StateName::Initiated, Command::Pay(paid(1))),
        (StateName::Held, Command::CompletePayment(paid(1))),
    ] {
        let mut booking = in_state(state);
        let (change, answer) = apply(&mut booking, &command, CREATED);
        assert_eq!(answer, Err(Refusal::Illegal { from: state, to: StateName::Confirmed }));
        assert_eq!(change, Change::default());
    }
}

#[test]
fn a_payment_that_was_accepted_is_answered_so_for_ever() {
    for state in [StateName::Confirmed, StateName::Refunded] {
        for command in reports(paid_before()) {
            let mut booking = in_state(state);
            let known = of_this_booking(PaymentOutcome::Accepted);
            let (change, answer) = booking.apply(&command, known, &POLICY, DEADLINE + TICK);
            assert_eq!((change, answer), (Change::default(), Ok(Reply::Done)));
            assert_eq!(booking, in_state(state));
        }
    }
}

#[test]
fn a_payment_that_failed_is_answered_so_in_every_state() {
    for state in StateName::ALL {
        for command in reports(failed(1)) {
            let mut booking = in_state(state);
            let known = of_this_booking(PaymentOutcome::Failed);
            let (change, answer) = booking.apply(&command, known, &POLICY, DEADLINE - TICK);
            assert_eq!((change, answer), (Change::default(), Ok(Reply::Done)), "{}", state.as_str());
            assert_eq!(booking, in_state(state));
        }
    }
}

#[test]
fn the_id_of_a_payment_with_another_end_or_of_another_booking_is_refused_in_every_state() {
    for state in StateName::ALL {
        for (payment, outcome) in OUTCOMES.into_iter().flat_map(|o| [(paid(1), o), (failed(1), o)]) {
            for booking_id in [own_id(), other_id()] {
                if booking_id == own_id() && payment.success == (outcome != PaymentOutcome::Failed) {
                    continue;
                }
                for command in reports(payment) {
                    let mut booking = in_state(state);
                    let known = Known::Payment { booking_id, outcome };
                    let (change, answer) = booking.apply(&command, known, &POLICY, DEADLINE - TICK);
                    let failed = outcome == PaymentOutcome::Failed;
                    let reused = Refusal::IdReused { used_for: booking_id, failed };
                    assert_eq!(answer, Err(reused), "{command:?} after {known:?}");
                    assert_eq!(change, Change::default());
                    assert_eq!(booking, in_state(state));
                }
            }
        }
    }
}

#[test]
fn a_reused_payment_id_does_not_keep_the_clock_from_its_say() {
    let mut booking = in_state(StateName::Held);
    let known = Known::Payment { booking_id: other_id(), outcome: PaymentOutcome::Accepted };
    let (change, answer) = booking.apply(&Command::Pay(paid(1)), known, &POLICY, DEADLINE);
    assert_eq!(answer, Err(Refusal::IdReused { used_for: other_id(), failed: false }));
    assert_eq!((booking.state.name(), change.steps.len()), (StateName::Expired, 1));
}

#[test]
fn a_refund_ends_a_paid_booking_and_is_named_in_it() {
    let mut booking = in_state(StateName::Confirmed);
    let change = obey(&mut booking, &Command::Refund(refund_id(1)), DEADLINE + Duration::days(30));
    let payment_id = paid_before().id;
    assert_eq!(booking.state, State::Refunded { hold: hold(), payment_id, refund_id: refund_id(1) });
    assert_eq!(change.steps[0].reference, Some(refund_id(1).get()));
    assert_eq!(change.payment, None);
}

#[test]
fn the_same_refund_again_is_a_success_and_another_one_is_not() {
    let mut booking = in_state(StateName::Refunded);
    let known = Known::Refund { booking_id: own_id() };
    let again = booking.apply(&Command::Refund(refunded_before()), known, &POLICY, DEADLINE + TICK);
    assert_eq!(again, (Change::default(), Ok(Reply::Done)));
    let (from, to) = (StateName::Refunded, StateName::Refunded);
    let other = apply(&mut booking, &Command::Refund(refund_id(1)), DEADLINE + TICK);
    assert_eq!(other, (Change::default(), Err(Refusal::Illegal { from, to })));
    assert_eq!(booking, in_state(StateName::Refunded));
}

#[test]
fn the_refund_of_another_booking_is_refused_in_every_state() {
    for state in StateName::ALL {
        let mut booking = in_state(state);
        let known = Known::Refund { booking_id: other_id() };
        let answer = booking.apply(&Command::Refund(refund_id(1)), known, &POLICY, CREATED);
        let reused = Refusal::IdReused { used_for: other_id(), failed: false };
        assert_eq!(answer, (Change::default(), Err(reused)), "{}", state.as_str());
        assert_eq!(booking, in_state(state));
    }
}
