//! What clients were told, against what is on record.

use super::{Case, Rule};
use crate::books::{Record, Step};
use crate::history::{Answer, Call, Reason, State, What};
use crate::time::Time;

/// Nothing was said that no client may hear, and successes show what was asked for.
pub(super) fn proper(case: &mut Case<'_>) {
    let life = case.life;
    for call in &life.calls {
        match &call.answer {
            Answer::Wrong(text) => {
                case.wrong(Rule::AnswersAreProper, format!("{} was answered: {text}", call.what.name()));
            }
            Answer::Booking(seen) if !possible(call, seen.state) => case.wrong(
                Rule::AnswersAreProper,
                format!("{} succeeded, and the booking was {:?}", call.what.name(), seen.state),
            ),
            Answer::Booking(_) | Answer::Refused(..) | Answer::Unknown => {}
        }
    }
}

/// No call was without an answer when clients were sent away, who had waited for long with everything mended.
pub(super) fn given(cut_off: Option<Time>, case: &mut Case<'_>) {
    let Some(cut_off) = cut_off else { return };
    let life = case.life;
    for call in &life.calls {
        if call.attempts > 0 && call.answer == Answer::Unknown && call.replied >= cut_off {
            let text = format!(
                "{} had no answer in {} attempts, the last of which began {} ms before the client was sent away",
                call.what.name(),
                call.attempts,
                cut_off.since(call.last).as_millis()
            );
            case.wrong(Rule::EverythingSettles, text);
        }
    }
}

/// Whether a call that succeeds can leave the booking in the state.
const fn possible(call: &Call, state: State) -> bool {
    match call.what {
        What::Hold | What::Extend { .. } => matches!(state, State::Held),
        What::Start => matches!(state, State::PaymentPending),
        What::Complete(payment) | What::Pay(payment) if payment.success => {
            matches!(state, State::Confirmed | State::Refunded)
        }
        // A repeat of these shows the booking as it is by then.
        What::Create { .. } | What::Get | What::Complete(_) | What::Pay(_) => true,
        What::Cancel => matches!(state, State::Cancelled),
        What::Refund(_) => matches!(state, State::Refunded),
    }
}

/// Every answer shows a step of the history, and a later call never an earlier one.
pub(super) fn true_to(record: &Record, case: &mut Case<'_>) {
    let life = case.life;
    let mut answered: Vec<&Call> = life.calls.iter().filter(|call| call.answer != Answer::Unknown).collect();
    answered.sort_by_key(|call| call.replied);
    // The latest step that was known to a client at a time, in the order of the times.
    let mut known: Vec<(Time, usize)> = Vec::new();
    for call in answered {
        let at_least =
            known.iter().take_while(|(replied, _)| *replied < call.last).map(|(_, step)| *step).max();
        match &call.answer {
            Answer::Booking(seen) => {
                let shown: Vec<usize> = (0..record.steps.len())
                    .filter(|at| record.steps[*at].to == seen.state && record.steps[*at].at == seen.updated)
                    .collect();
                let step = shown.iter().copied().find(|step| at_least.is_none_or(|least| *step >= least));
                match step {
                    Some(step) => known.push((call.replied, step)),
                    None if shown.is_empty() => case.wrong(
                        Rule::AnswersAreTrue,
                        format!(
                            "{} showed {:?} of {:?}; its history has no such step",
                            call.what.name(),
                            seen.state,
                            seen.updated
                        ),
                    ),
                    None => case.wrong(
                        Rule::AnswersAreTrue,
                        format!(
                            "{} showed {:?}, when a later step had been shown before",
                            call.what.name(),
                            seen.state
                        ),
                    ),
                }
            }
            Answer::Refused(reason, from) => refusal(record, *reason, *from, call, at_least, case),
            Answer::Wrong(_) | Answer::Unknown => {}
        }
    }
}

/// A refusal is explained by a state that the booking was in by then: one that had to be left for good, or, of a
/// transition, one that no client knew to have been left when the call was made.
fn refusal(
    record: &Record,
    reason: Reason,
    from: Option<State>,
    call: &Call,
    at_least: Option<usize>,
    case: &mut Case<'_>,
) {
    let by_then = |at| !case.is_before(call.replied, at);
    let has_been = |state| record.steps.iter().any(|step| step.to == state && by_then(step.at));
    // Its time was up, whoever noticed first. The deadline of a draft is not in its history.
    let has_run_out = |step: &Step| {
        let up = step.deadline.is_none_or(by_then) || step.from == Some(State::Initiated);
        step.to == State::Expired && (by_then(step.at) || up)
    };
    let may_be = |state| {
        let steps = record.steps.iter().skip(at_least.unwrap_or(0));
        steps.into_iter().any(|step| step.to == state && by_then(step.at))
    };
    let explained = match reason {
        Reason::HoldExpired => record.steps.iter().any(has_run_out),
        Reason::BookingCancelled => has_been(State::Cancelled),
        Reason::AlreadyPaid => has_been(State::Confirmed),
        Reason::IllegalTransition => from.is_some_and(may_be),
        Reason::HoldLifetimeExceeded => has_been(State::Held),
        Reason::BookingNotFound => at_least.is_none(),
        // Refused, and yet there: only by another attempt, or for a draft.
        Reason::InsufficientStock | Reason::SeatTaken => {
            let creations = |call: &&Call| matches!(call.what, What::Create { .. });
            case.life.calls.iter().filter(creations).any(Call::may_have_acted) || record.tombstone
        }
    };
    if !explained {
        let text = format!("{} was refused as {reason:?} {from:?}: {:?}", call.what.name(), record.steps);
        case.wrong(Rule::AnswersAreTrue, text);
    }
}

/// A booking that is not on record must never have been acknowledged.
pub(super) fn lost(case: &mut Case<'_>) {
    let life = case.life;
    for call in &life.calls {
        match &call.answer {
            Answer::Booking(seen) => {
                case.wrong(Rule::NothingIsLost, format!("it was acknowledged as {:?}", seen.state));
            }
            Answer::Refused(Reason::InsufficientStock | Reason::SeatTaken | Reason::BookingNotFound, _)
            | Answer::Wrong(_)
            | Answer::Unknown => {}
            Answer::Refused(reason, _) => {
                case.wrong(Rule::NothingIsLost, format!("it was there to be refused as {reason:?}"));
            }
        }
    }
}
