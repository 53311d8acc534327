//! What holds of promises, verdicts and money in every life.

use std::collections::{HashMap, HashSet};

use proptest::{prelude::*, test_runner::Config};

use super::{
    super::{
        command::{PaymentOutcome, Verdict},
        promise::{Promise, ReleasedBy, Settlement},
    },
    lives::{Moment, lives},
    *,
};

/// The settlements that a moment owes.
fn settlements(moment: &Moment) -> Vec<(Attempt, Settlement)> {
    moment
        .owed(ReleasedBy::Outbox)
        .into_iter()
        .filter_map(|promise| match promise {
            Promise::Settle { attempt, verdict } => Some((attempt, verdict)),
            Promise::Timer { .. } | Promise::Event { .. } => None,
        })
        .collect()
}

/// The news that a moment owes.
fn subjects(moment: &Moment) -> Vec<(&'static str, Option<Uuid>)> {
    moment
        .owed(ReleasedBy::Outbox)
        .into_iter()
        .filter_map(|promise| match promise {
            Promise::Event { subject, reference, .. } => Some((subject, reference)),
            Promise::Timer { .. } | Promise::Settle { .. } => None,
        })
        .collect()
}

/// What a moment says about holds, in the order in which a hold may live through it: 0 it stands, 1 it is sold, 2 it is
/// released.
fn sayings(moment: &Moment) -> Vec<(Attempt, u8)> {
    let mut said: Vec<(Attempt, u8)> = settlements(moment)
        .into_iter()
        .map(|(attempt, verdict)| (attempt, if verdict == Settlement::Commit { 1 } else { 2 }))
        .collect();
    if let (Command::Resolve(attempt), Ok(Reply::Verdict(verdict))) = (&moment.command, moment.answer) {
        let rank = match verdict {
            Verdict::NotDue { .. } => 0,
            Verdict::Commit => 1,
            Verdict::Release { .. } => 2,
        };
        said.push((*attempt, rank));
    }
    said
}

proptest! {
    #![proptest_config(Config::with_cases(256))]

    #[test]
    fn units_are_sold_exactly_once_by_the_confirmation_and_by_nothing_else(life in lives()) {
        let mut commits = 0;
        for moment in life.moments() {
            let sold = settlements(&moment).into_iter().filter(|(_, verdict)| *verdict == Settlement::Commit);
            let sold: Vec<Attempt> = sold.map(|(attempt, _)| attempt).collect();
            let confirmed = moment.change.steps.iter().any(|step| step.to == StateName::Confirmed);
            prop_assert_eq!(&sold, &vec![moment.after.attempt; usize::from(confirmed)]);
            commits += sold.len();
        }
        prop_assert!(commits <= 1);
    }

    #[test]
    fn units_are_released_only_when_the_booking_is_over_or_they_were_never_its_own(life in lives()) {
        for moment in life.moments() {
            let over = matches!(
                moment.after.state.name(),
                StateName::Expired | StateName::Cancelled | StateName::Refunded
            );
            for (attempt, verdict) in settlements(&moment) {
                let own = attempt == moment.after.attempt;
                prop_assert!(verdict == Settlement::Commit || over || !own, "{moment:?}");
            }
        }
    }

    /// Also the safety of attempts: a hold that was once said to be released is never sold and never stands again.
    #[test]
    fn what_is_said_about_a_hold_never_goes_back(life in lives()) {
        let mut said: HashMap<Attempt, u8> = HashMap::new();
        for moment in life.moments() {
            for (attempt, rank) in sayings(&moment) {
                let last = said.insert(attempt, rank).unwrap_or(0);
                prop_assert!(rank >= last, "attempt {attempt:?} went from {last} to {rank}: {moment:?}");
            }
            if moment.after.state.hold().is_some() && moment.after.state.open_until().is_some() {
                let last = said.get(&moment.after.attempt);
                prop_assert!(last.is_none_or(|rank| *rank == 0), "held although {last:?}: {moment:?}");
            }
        }
    }

    #[test]
    fn a_hold_that_is_not_due_has_time_left(life in lives()) {
        for moment in life.moments() {
            if let Ok(Reply::Verdict(Verdict::NotDue { deadline })) = moment.answer {
                prop_assert!(moment.now < deadline);
                prop_assert_eq!(moment.after.state.open_until(), Some(deadline));
            }
        }
    }

    #[test]
    fn every_hold_that_is_recorded_gets_its_one_timer_at_its_first_deadline(life in lives()) {
        for moment in life.moments() {
            let timers: Vec<Promise> = moment
                .owed(ReleasedBy::Caller)
                .into_iter()
                .filter(|promise| matches!(promise, Promise::Timer { .. }))
                .collect();
            let held = moment.change.steps.iter().any(|step| step.from == StateName::Initiated && step.to == StateName::Held);
            let expected: Vec<Promise> = moment
                .after
                .state
                .hold()
                .filter(|_| held)
                .map(|hold| Promise::Timer { attempt: moment.after.attempt, deadline: hold.first_deadline() })
                .into_iter()
                .collect();
            prop_assert_eq!(timers, expected);
        }
    }

    #[test]
    fn the_caller_carries_the_release_of_an_expiry_and_nothing_else(life in lives()) {
        for moment in life.moments() {
            let mut owed = moment.owed(ReleasedBy::Outbox);
            let expired = moment.change.steps.iter().any(|step| {
                step.from != StateName::Initiated && step.to == StateName::Expired
            });
            if expired {
                let attempt = moment.after.attempt;
                let carried = Promise::Settle { attempt, verdict: Settlement::Release };
                let at = owed.iter().position(|promise| *promise == carried);
                owed.remove(at.expect("an expiry of a hold owes its release"));
            }
            prop_assert_eq!(owed, moment.owed(ReleasedBy::Caller));
        }
    }

    #[test]
    fn every_end_and_every_beginning_of_a_booking_is_news_once(life in lives()) {
        for moment in life.moments() {
            let expected: Vec<&str> = moment
                .change
                .steps
                .iter()
                .filter_map(|step| match (step.from, step.to) {
                    (StateName::Initiated, StateName::Held) => Some("booking.held"),
                    (_, StateName::Confirmed) => Some("booking.confirmed"),
                    (_, StateName::Refunded) => Some("booking.refunded"),
                    (_, StateName::Cancelled) => Some("booking.cancelled"),
                    (_, StateName::Expired) => Some("booking.expired"),
                    (_, StateName::Initiated | StateName::Held | StateName::PaymentPending) => None,
                })
                .collect();
            let news = subjects(&moment);
            let of_booking = news.iter().map(|(subject, _)| *subject).filter(|subject| subject.starts_with("booking."));
            prop_assert_eq!(of_booking.collect::<Vec<_>>(), expected);
        }
    }

    /// Money that was taken pays for the booking or goes back, and the report of it says which. It goes unrecorded only
    /// where nobody waited for it, or under an id that means something else.
    #[test]
    fn no_money_is_lost(life in lives()) {
        let (mut accepted, mut due) = (HashSet::new(), HashSet::new());
        for moment in life.moments() {
            for (subject, reference) in subjects(&moment) {
                if subject == "payment.refund_due" {
                    prop_assert!(due.insert(reference.expect("it names the payment")), "announced twice");
                }
            }
            let Some(payment) = moment.reported() else {
                prop_assert_eq!(moment.change.payment, None);
                continue;
            };
            if let Some((id, outcome)) = moment.change.payment {
                prop_assert_eq!(id, payment.id);
                prop_assert_eq!(payment.success, outcome != PaymentOutcome::Failed);
                prop_assert_eq!(due.contains(&id.get()), outcome == PaymentOutcome::RefundDue);
                if outcome == PaymentOutcome::Accepted {
                    accepted.insert(id.get());
                }
            }
            if payment.success {
                let (kept, back) = (accepted.contains(&payment.id.get()), due.contains(&payment.id.get()));
                match moment.answer {
                    Ok(_) => prop_assert!(kept && !back),
                    Err(Refusal::HoldExpired | Refusal::BookingCancelled | Refusal::AlreadyPaid) => {
                        prop_assert!(back && !kept);
                    }
                    Err(Refusal::Illegal { from, .. }) => {
                        prop_assert!(matches!(from, StateName::Initiated | StateName::Held));
                        prop_assert!(!kept && !back);
                    }
                    Err(refusal) => {
                        prop_assert!(matches!(refusal, Refusal::IdReused { .. }), "{:?}", refusal);
                    }
                }
            }
        }
        prop_assert!(accepted.len() <= 1);
    }
}
