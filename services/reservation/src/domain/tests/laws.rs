//! What holds of a booking in every life: where it may go, and that neither repeats nor the clock's turn matter.

use std::collections::HashSet;

use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, TestRunner},
};

use super::{
    lives::{Moment, lives},
    *,
};

/// The steps that a booking may take.
const STEPS: [(StateName, StateName); 12] = {
    use StateName::{Cancelled, Confirmed, Expired, Held, Initiated, PaymentPending, Refunded};
    [
        (Initiated, Held),
        (Initiated, Cancelled),
        (Initiated, Expired),
        (Held, Held),
        (Held, PaymentPending),
        (Held, Cancelled),
        (Held, Expired),
        (PaymentPending, Held),
        (PaymentPending, Confirmed),
        (PaymentPending, Cancelled),
        (PaymentPending, Expired),
        (Confirmed, Refunded),
    ]
};

fn taken(moment: &Moment) -> Vec<(StateName, StateName)> {
    moment.change.steps.iter().map(|step| (step.from, step.to)).collect()
}

/// Without this the laws might hold for want of lives.
#[test]
fn the_random_lives_take_every_step_of_the_table_and_meet_every_refusal() {
    let mut runner = TestRunner::deterministic();
    let (mut steps, mut refusals) = (HashSet::new(), HashSet::new());
    for _ in 0..500 {
        let life = lives().new_tree(&mut runner).expect("a life is made without a filter").current();
        for moment in life.moments() {
            steps.extend(taken(&moment));
            refusals.extend(moment.answer.err().map(|refusal| std::mem::discriminant(&refusal)));
        }
    }
    assert_eq!(steps, HashSet::from(STEPS));
    assert_eq!(refusals.len(), 7, "every refusal but none beside them");
}

proptest! {
    #![proptest_config(Config::with_cases(256))]

    #[test]
    fn a_booking_moves_along_the_table_one_step_after_the_other(life in lives()) {
        for moment in life.moments() {
            let mut at = moment.before.state.name();
            for (from, to) in taken(&moment) {
                prop_assert!(STEPS.contains(&(from, to)), "{:?}", moment);
                prop_assert_eq!(from, at);
                at = to;
            }
            prop_assert_eq!(at, moment.after.state.name());
        }
    }

    #[test]
    fn the_history_grows_by_the_steps_that_were_taken(life in lives()) {
        for Moment { before, after, change, now, .. } in life.moments() {
            let steps = i32::try_from(change.steps.len()).unwrap();
            prop_assert_eq!(after.history_length, before.history_length + steps);
            prop_assert_eq!(after.updated_at, if steps > 0 { now } else { before.updated_at });
            if steps == 0 && !change.attempt_moved {
                prop_assert_eq!(after, before);
            }
        }
    }

    #[test]
    fn what_a_booking_is_made_of_never_changes(life in lives()) {
        for Moment { before, after, .. } in life.moments() {
            let priced_now = before.state.hold().is_none() && after.state.hold().is_some();
            let Booking { state, attempt, history_length, updated_at, .. } = after.clone();
            let lines = if priced_now { after.lines.clone() } else { before.lines.clone() };
            prop_assert!(attempt >= before.attempt);
            prop_assert_eq!(after, Booking { lines, attempt, state, history_length, updated_at, ..before });
        }
    }

    #[test]
    fn final_states_are_final(life in lives()) {
        for Moment { before, after, .. } in life.moments() {
            let name = before.state.name();
            if matches!(name, StateName::Refunded | StateName::Cancelled | StateName::Expired) {
                prop_assert_eq!(after, before);
            }
        }
    }

    #[test]
    fn nothing_is_confirmed_at_or_after_its_deadline_and_nothing_expires_before(life in lives()) {
        for Moment { before, change, now, .. } in life.moments() {
            for step in change.steps {
                let deadline = step.deadline.or(before.deadline()).expect("there was one");
                match step.to {
                    StateName::Confirmed => prop_assert!(now < deadline),
                    StateName::Expired => prop_assert!(now >= deadline),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn no_booking_stays_open_at_its_deadline(life in lives()) {
        for Moment { after, now, .. } in life.moments() {
            prop_assert!(after.state.open_until().is_none_or(|deadline| now < deadline), "{after:?}");
        }
    }

    #[test]
    fn a_hold_is_kept_and_its_deadline_only_moves_later_within_the_longest_life_and_the_window(life in lives()) {
        let mut windows = 0;
        for Moment { before, after, command, .. } in life.moments() {
            if let Some(earlier) = before.state.hold() {
                let hold = after.state.hold().expect("the hold is kept for the record");
                let Hold { deadline, window_given, .. } = *hold;
                prop_assert!(deadline >= earlier.deadline && window_given >= earlier.window_given);
                prop_assert_eq!(hold, &Hold { deadline, window_given, ..earlier.clone() });
                let given = matches!(command, Command::StartPayment) && hold.deadline > earlier.deadline;
                windows += i32::from(given);
            }
            if let Some(hold) = after.state.hold() {
                let longest = hold.first_deadline().max(hold.held_at + POLICY.max_hold);
                prop_assert!(hold.deadline < longest + POLICY.payment_window);
            }
        }
        prop_assert!(windows <= 1);
    }

    #[test]
    fn a_refusal_changes_only_what_the_clock_does(life in lives()) {
        for Moment { before, after, answer, now, .. } in life.moments() {
            if answer.is_err() {
                prop_assert_eq!(after, aged(&before, now));
            }
        }
    }

    #[test]
    fn a_command_repeated_at_once_is_answered_alike_and_changes_nothing(life in lives()) {
        for Moment { after, command, known_after, now, change, answer, .. } in life.moments() {
            let mut again = after.clone();
            let repeat = again.apply(&command, known_after, &POLICY, now);
            // A hold that nobody has is released again, which does no harm.
            prop_assert_eq!(repeat, (Change { stray: change.stray, ..Change::default() }, answer));
            prop_assert_eq!(again, after);
        }
    }

    #[test]
    fn it_makes_no_difference_whether_the_clock_had_its_say_before(life in lives()) {
        for Moment { before, after, command, known, now, change, answer, .. } in life.moments() {
            let mut booking = before.clone();
            let (mut first, _) = booking.apply(&Command::Review, Known::Unused, &POLICY, now);
            prop_assert_eq!(&booking, &aged(&before, now));
            let (second, answered) = booking.apply(&command, known, &POLICY, now);
            first.steps.extend(second.steps);
            prop_assert_eq!((booking, answered), (after, answer));
            prop_assert_eq!(Change { steps: first.steps, ..second }, change);
        }
    }

    #[test]
    fn a_question_for_a_verdict_makes_no_difference_to_a_booking_that_is_no_draft(
        life in lives(),
        asked in 1_i32..=4,
    ) {
        for Moment { before, after, command, known, now, answer, .. } in life.moments() {
            if before.state.name() != StateName::Initiated {
                let mut booking = before;
                let question = Command::Resolve(attempt(asked));
                let (change, _) = booking.apply(&question, Known::Unused, &POLICY, now);
                prop_assert!(!change.attempt_moved);
                let (_, answered) = booking.apply(&command, known, &POLICY, now);
                prop_assert_eq!((booking, answered), (after, answer));
            }
        }
    }
}
