//! What each change owes to the broker, to the catalog and to other services.

use super::{
    super::promise::{Promise, ReleasedBy, Settlement, promises},
    *,
};

/// What a command owes that is not refused.
fn owed(state: StateName, command: &Command, now: OffsetDateTime, released_by: ReleasedBy) -> Vec<Promise> {
    let mut booking = in_state(state);
    let change = obey(&mut booking, command, now);
    promises(&booking, &change, released_by)
}

fn settle(verdict: Settlement) -> Promise {
    Promise::Settle { attempt: own_attempt(), verdict }
}

fn event(subject: &'static str, reference: Option<Uuid>) -> Promise {
    Promise::Event { subject, deadline: None, reference }
}

const BOTH: [ReleasedBy; 2] = [ReleasedBy::Outbox, ReleasedBy::Caller];

#[test]
fn a_hold_owes_its_timer_and_the_news_both_with_the_deadline() {
    for released_by in BOTH {
        let deadline = DEADLINE + Duration::seconds(5);
        let hold = Command::Hold(Some(placed(own_attempt())));
        let owed = owed(StateName::Initiated, &hold, CREATED + Duration::seconds(5), released_by);
        let news = Promise::Event { subject: "booking.held", deadline: Some(deadline), reference: None };
        assert_eq!(owed, [Promise::Timer { attempt: own_attempt(), deadline }, news]);
    }
}

#[test]
fn more_time_owes_nothing_because_the_old_timer_asks_again() {
    for released_by in BOTH {
        for command in [Command::Extend(Duration::seconds(30)), Command::StartPayment] {
            assert_eq!(owed(StateName::Held, &command, CREATED, released_by), []);
        }
    }
}

#[test]
fn a_payment_that_failed_in_time_owes_nothing() {
    for released_by in BOTH {
        assert_eq!(
            owed(StateName::PaymentPending, &Command::CompletePayment(failed(1)), CREATED, released_by),
            []
        );
        assert_eq!(owed(StateName::Held, &Command::Pay(failed(1)), CREATED, released_by), []);
    }
}

#[test]
fn a_confirmation_owes_the_commit_and_the_news_with_the_payment() {
    let expected = [settle(Settlement::Commit), event("booking.confirmed", Some(paid(1).id.get()))];
    for released_by in BOTH {
        let complete = Command::CompletePayment(paid(1));
        assert_eq!(owed(StateName::PaymentPending, &complete, CREATED, released_by), expected);
        assert_eq!(owed(StateName::Held, &Command::Pay(paid(1)), CREATED, released_by), expected);
    }
}

#[test]
fn a_refund_owes_the_release_and_the_news_with_the_refund() {
    let expected = [settle(Settlement::Release), event("booking.refunded", Some(refund_id(1).get()))];
    for released_by in BOTH {
        let refund = Command::Refund(refund_id(1));
        assert_eq!(owed(StateName::Confirmed, &refund, DEADLINE, released_by), expected);
    }
}

#[test]
fn a_cancellation_owes_the_news_and_the_release_of_the_hold_if_there_is_one() {
    for released_by in BOTH {
        let news = event("booking.cancelled", None);
        let of_draft = owed(StateName::Initiated, &Command::Cancel, CREATED, released_by);
        assert_eq!(of_draft, [news]);
        for state in [StateName::Held, StateName::PaymentPending] {
            let of_hold = owed(state, &Command::Cancel, CREATED, released_by);
            assert_eq!(of_hold, [settle(Settlement::Release), news]);
        }
    }
}

#[test]
fn an_expiry_owes_the_news_and_the_release_unless_the_caller_carries_it() {
    let news = event("booking.expired", None);
    for state in [StateName::Held, StateName::PaymentPending] {
        let by_outbox = owed(state, &Command::Review, DEADLINE, ReleasedBy::Outbox);
        assert_eq!(by_outbox, [settle(Settlement::Release), news]);
        let resolve = Command::Resolve(own_attempt());
        let by_caller = owed(state, &resolve, DEADLINE, ReleasedBy::Caller);
        assert_eq!(by_caller, [news]);
    }
    for released_by in BOTH {
        let of_draft = owed(StateName::Initiated, &Command::Review, DEADLINE, released_by);
        assert_eq!(of_draft, [news]);
    }
}

#[test]
fn a_refused_command_still_owes_what_the_clock_did() {
    for command in [Command::Cancel, Command::StartPayment, Command::Refund(refund_id(1))] {
        let mut booking = in_state(StateName::Held);
        let (change, answer) = apply(&mut booking, &command, DEADLINE);
        assert!(matches!(answer, Err(Refusal::Illegal { from: StateName::Expired, .. })), "{answer:?}");
        let owed = promises(&booking, &change, ReleasedBy::Outbox);
        assert_eq!(owed, [settle(Settlement::Release), event("booking.expired", None)]);
    }
}

#[test]
fn money_that_ends_nothing_but_came_too_late_owes_its_refund_beside_the_expiry() {
    let mut booking = in_state(StateName::PaymentPending);
    let (change, _) = apply(&mut booking, &Command::CompletePayment(paid(1)), DEADLINE);
    let due = event("payment.refund_due", Some(paid(1).id.get()));
    let owed = promises(&booking, &change, ReleasedBy::Outbox);
    assert_eq!(owed, [settle(Settlement::Release), event("booking.expired", None), due]);
    for state in [StateName::Expired, StateName::Cancelled, StateName::Confirmed, StateName::Refunded] {
        let mut booking = in_state(state);
        let (change, _) = apply(&mut booking, &Command::Pay(paid(1)), DEADLINE);
        assert_eq!(promises(&booking, &change, ReleasedBy::Outbox), [due]);
    }
}

#[test]
fn a_stray_is_released_even_when_the_caller_carries_releases() {
    let mut booking = in_state(StateName::Held);
    let change = obey(&mut booking, &Command::Abandon(attempt(1)), CREATED);
    let released = Promise::Settle { attempt: attempt(1), verdict: Settlement::Release };
    for released_by in BOTH {
        assert_eq!(promises(&booking, &change, released_by), [released]);
    }
}

#[test]
fn a_change_without_a_step_owes_nothing() {
    for state in StateName::ALL {
        for released_by in BOTH {
            let booking = in_state(state);
            assert_eq!(promises(&booking, &Change::default(), released_by), []);
        }
    }
    assert_eq!(owed(StateName::Initiated, &Command::Resolve(own_attempt()), CREATED, ReleasedBy::Caller), []);
}
