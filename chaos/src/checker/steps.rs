//! The steps of a booking: along the table, and each of them asked for.

use super::{Case, Rule};
use crate::books::{Record, Step};
use crate::history::{Call, State, What};

/// The history follows the table without gaps, keeps the deadlines, and ends where the booking is.
pub(super) fn legal(record: &Record, case: &mut Case<'_>) {
    let mut before: Option<&Step> = None;
    for step in &record.steps {
        if step.from != before.map(|step| step.to) || !is_legal(step.from, step.to) {
            case.wrong(Rule::StepsAreLegal, format!("from {before:?} it went to {step:?}"));
        }
        if before.is_some_and(|before| before.at > step.at) {
            case.wrong(Rule::StepsAreLegal, format!("{before:?} was followed by the earlier {step:?}"));
        }
        let deadline = before.and_then(|before| before.deadline);
        let kept = match (step.to, deadline) {
            (State::Confirmed, Some(deadline)) => step.at < deadline,
            (State::Expired, Some(deadline)) => step.at >= deadline,
            _ => true,
        };
        if !kept {
            case.wrong(Rule::DeadlinesAreKept, format!("{step:?}, with its deadline at {deadline:?}"));
        }
        before = Some(step);
    }
    if before.map(|step| step.to) != Some(record.state) {
        case.wrong(Rule::StepsAreLegal, format!("it is {:?}; its last step was {before:?}", record.state));
    }
}

const fn is_legal(from: Option<State>, to: State) -> bool {
    use State::{Cancelled, Confirmed, Expired, Held, Initiated, PaymentPending, Refunded};
    matches!(
        (from, to),
        (None, Initiated | Held | Expired)
            | (Some(Initiated), Held | Cancelled | Expired)
            | (Some(Held), Held | PaymentPending | Cancelled | Expired)
            | (Some(PaymentPending), Held | Confirmed | Cancelled | Expired)
            | (Some(Confirmed), Refunded)
    )
}

/// Each step that is not an expiry was asked for by a call that may have had its effect at that time.
pub(super) fn asked_for(record: &Record, case: &mut Case<'_>) {
    let life = case.life;
    for step in &record.steps {
        let in_time = |call: &&Call| {
            !case.is_before(step.at, call.first) && !case.is_before(call.effective_until(), step.at)
        };
        let mut calls = life.calls.iter().filter(|call| call.may_have_acted()).filter(in_time);
        if step.to != State::Expired && !calls.any(|call| asks_for(call.what, step)) {
            case.wrong(Rule::StepsWereAskedFor, format!("nobody asked for {step:?}"));
        }
    }
}

/// Whether a call asks for a step.
fn asks_for(what: What, step: &Step) -> bool {
    use State::{Cancelled, Confirmed, Held, Initiated, PaymentPending, Refunded};
    match (what, step.from, step.to) {
        (What::Create { hold: false }, None, Initiated)
        | (What::Create { hold: true }, None | Some(Initiated), Held)
        | (What::Hold, Some(Initiated), Held)
        | (What::Extend { .. }, Some(Held), Held)
        | (What::Start | What::Pay(_), Some(Held), PaymentPending)
        | (What::Cancel, Some(_), Cancelled) => true,
        (What::Complete(payment) | What::Pay(payment), Some(PaymentPending), Held | Confirmed) => {
            payment.success == (step.to == Confirmed) && step.reference == Some(payment.id)
        }
        (What::Refund(refund), Some(Confirmed), Refunded) => step.reference == Some(refund),
        _ => false,
    }
}
