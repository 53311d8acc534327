//! Money: every payment recorded as it was answered, none twice, none paid back twice.

use std::collections::{HashMap, HashSet};

use uuid::Uuid;

use super::{Case, Evidence, Rule, Violation};
use crate::books::{Books, Outcome};
use crate::history::{Answer, Call, Reason, State, What};

/// What was answered about a booking's payments is what is on record, and it was paid back once at most.
pub(super) fn kept(books: &Books, case: &mut Case<'_>) {
    let life = case.life;
    let mut refunds = HashSet::new();
    for call in &life.calls {
        if let (What::Refund(refund), Answer::Booking(_)) = (call.what, &call.answer) {
            refunds.insert(refund);
        }
        let Some(payment) = call.what.payment() else { continue };
        let recorded = books.payments.get(&payment.id);
        let outcome = recorded.filter(|(booking, _)| *booking == life.id).map(|(_, outcome)| *outcome);
        let as_answered = match &call.answer {
            Answer::Booking(_) if payment.success => outcome == Some(Outcome::Accepted),
            Answer::Booking(_) => outcome == Some(Outcome::Failed),
            Answer::Refused(Reason::HoldExpired | Reason::BookingCancelled | Reason::AlreadyPaid, _) => {
                outcome == Some(Outcome::RefundDue)
            }
            Answer::Refused(..) => outcome.is_none() || others_may_have(call, &life.calls),
            Answer::Wrong(_) | Answer::Unknown => true,
        };
        if !as_answered {
            case.wrong(
                Rule::PaymentsAreKept,
                format!("{} was answered {:?}; its payment is {recorded:?}", call.what.name(), call.answer),
            );
        }
    }
    if refunds.len() > 1 {
        case.wrong(Rule::PaymentsAreKept, format!("{} refunds were acknowledged", refunds.len()));
    }
    let steps = books.bookings.get(&life.id).map_or(&[][..], |record| &record.steps);
    if steps.iter().filter(|step| step.to == State::Refunded).count() > 1 {
        case.wrong(Rule::PaymentsAreKept, "it was refunded twice");
    }
}

/// Whether another attempt or another call with the same payment may have been the one that counted.
fn others_may_have(refused: &Call, calls: &[Call]) -> bool {
    let same =
        |call: &&Call| call.what.payment().map(|payment| payment.id) == refused.what.payment().map(|p| p.id);
    calls.iter().filter(same).any(Call::may_have_acted)
}

/// Each payment on record was reported, and each booking that was paid for has one payment that was accepted.
pub(super) fn once(evidence: &Evidence<'_>, found: &mut Vec<Violation>) {
    let mut reported: HashMap<Uuid, (Uuid, bool)> = HashMap::new();
    for life in evidence.lives {
        let payments = life.calls.iter().filter_map(|call| call.what.payment());
        reported.extend(payments.map(|payment| (payment.id, (life.id, payment.success))));
    }
    let mut accepted: HashMap<Uuid, usize> = HashMap::new();
    let mut wrong = |booking: Uuid, text: String| {
        found.push(Violation { rule: Rule::PaymentsAreKept, booking: Some(booking), text });
    };
    for (payment, (booking, outcome)) in &evidence.books.payments {
        if reported.get(payment) != Some(&(*booking, *outcome != Outcome::Failed)) {
            wrong(*booking, format!("payment {payment} ({outcome:?}) was reported otherwise, or never"));
        }
        if (*outcome == Outcome::RefundDue) != evidence.books.announced.contains(payment) {
            let announced = evidence.books.announced.contains(payment);
            wrong(*booking, format!("payment {payment} is {outcome:?}; its refund announced: {announced}"));
        }
        if *outcome == Outcome::Accepted {
            *accepted.entry(*booking).or_default() += 1;
        }
    }
    for (booking, record) in &evidence.books.bookings {
        let paid = usize::from(matches!(record.state, State::Confirmed | State::Refunded));
        let payments = accepted.remove(booking).unwrap_or(0);
        if payments != paid {
            wrong(*booking, format!("it is {:?}, with {payments} payments accepted", record.state));
        }
    }
    for booking in accepted.keys() {
        wrong(*booking, "a payment was accepted for no booking".to_owned());
    }
}
