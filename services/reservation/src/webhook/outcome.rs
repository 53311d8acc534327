//! What an event of the payment provider does to its booking, and what the provider is told.
//!
//! It repeats an event until it hears 200. So 200 is for everything that is settled, also where there was nothing to do; and
//! anything else for what a repeat can make good: it comes to an end at the latest when the booking does.

use auth::Role;
use proto::{
    catalog::HoldKey,
    reservation::{
        CompletePaymentRequest, PayBookingRequest, RefundBookingRequest, ResolveHoldsRequest,
        StartPaymentRequest, booking_service_client::BookingServiceClient,
        settlement_service_client::SettlementServiceClient,
    },
};
use server::{Caller, Calls};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::provider::{Event, What};
use crate::domain::{booking::StateName, ids::Attempt};

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is so, now or by a repeat.
    Applied,
    /// The money is to go back: recorded, and told to others as `payment.refund_due`.
    RefundDue,
    /// There was nothing to do.
    Ignored,
    /// Not settled: to be sent again.
    Later,
    /// No signature that is good.
    Unsigned,
    /// It cannot be read.
    Malformed,
}

impl Outcome {
    pub(super) const ALL: [Self; 6] =
        [Self::Applied, Self::RefundDue, Self::Ignored, Self::Later, Self::Unsigned, Self::Malformed];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::RefundDue => "refund_due",
            Self::Ignored => "ignored",
            Self::Later => "later",
            Self::Unsigned => "unsigned",
            Self::Malformed => "malformed",
        }
    }
}

/// Who makes them, in the history of bookings.
const SUBJECT: &str = "payment-provider";
/// The longest name of an event that goes into the history.
const MAX_REQUEST_ID: usize = 64;

/// Makes the calls that events stand for.
#[derive(Clone, Debug)]
pub(super) struct Provider {
    bookings: BookingServiceClient<Calls>,
    settlement: SettlementServiceClient<Calls>,
}

impl Provider {
    pub(super) fn new(calls: &Calls) -> Self {
        Self {
            bookings: BookingServiceClient::new(calls.clone()),
            settlement: SettlementServiceClient::new(calls.clone()),
        }
    }

    /// Does what an event says.
    pub(super) async fn tell(&self, event: Event) -> Result<Outcome, Status> {
        let Event { id, booking_id: Some(booking_id), what } = event else { return Ok(Outcome::Ignored) };
        if what == What::Other {
            return Ok(Outcome::Ignored);
        }
        match self.call(&id, booking_id, &what).await {
            Err(status) if is_unknown(&status) && matches!(what, What::Succeeded(_)) => {
                tracing::error!(%booking_id, "money was taken for a booking that is not there: it is to go back");
                self.bury(&id, booking_id).await?;
                outcome(&what, booking_id, self.call(&id, booking_id, &what).await)
            }
            done => outcome(&what, booking_id, done),
        }
    }

    async fn call(&self, id: &str, booking_id: Uuid, what: &What) -> Result<(), Status> {
        let mut bookings = self.bookings.clone();
        let booking_id = booking_id.to_string();
        match what {
            What::Started => {
                let request = request(id, StartPaymentRequest { booking_id });
                bookings.start_payment(request).await.map(drop)
            }
            // Both steps in one: the event that it started may come later, or never.
            What::Succeeded(payment_id) => {
                let payment_id = payment_id.to_string();
                let request = request(id, PayBookingRequest { booking_id, payment_id, success: true });
                bookings.pay_booking(request).await.map(drop)
            }
            What::Failed(payment_id) => {
                let payment_id = payment_id.to_string();
                let failed = CompletePaymentRequest { booking_id, payment_id, success: false };
                bookings.complete_payment(request(id, failed)).await.map(drop)
            }
            What::Refunded(refund_id) => {
                let refund_id = refund_id.to_string();
                let request = request(id, RefundBookingRequest { booking_id, refund_id });
                bookings.refund_booking(request).await.map(drop)
            }
            What::Other => Ok(()),
        }
    }

    /// Makes a booking that is not there an expired one, as the sweep does: money for it is recorded, and goes back.
    async fn bury(&self, id: &str, booking_id: Uuid) -> Result<(), Status> {
        let key = HoldKey { booking_id: booking_id.to_string(), attempt: Attempt::FIRST.get() };
        let request = request(id, ResolveHoldsRequest { keys: vec![key] });
        self.settlement.clone().resolve_holds(request).await.map(drop)
    }
}

/// A call in the provider's name. Its id is the event's.
fn request<T>(id: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let request_id = (1..=MAX_REQUEST_ID).contains(&id.len()).then(|| id.into());
    let caller = Caller { subject: SUBJECT.into(), role: Role::Operator, request_id };
    request.extensions_mut().insert(caller);
    request
}

fn is_unknown(status: &Status) -> bool {
    api::reason_of(status) == "BOOKING_NOT_FOUND"
}

/// What a call came to. Everything that no repeat could change is settled.
fn outcome(what: &What, booking_id: Uuid, done: Result<(), Status>) -> Result<Outcome, Status> {
    let Err(status) = done else { return Ok(Outcome::Applied) };
    let took_money = matches!(what, What::Succeeded(_));
    match &*api::reason_of(&status) {
        "HOLD_EXPIRED" | "BOOKING_CANCELLED" | "ALREADY_PAID" if took_money => Ok(Outcome::RefundDue),
        "ILLEGAL_TRANSITION" => {
            let metadata = api::metadata_of(&status);
            let from = metadata.get("from").map(String::as_str).unwrap_or_default();
            // Money for a draft, and a refund before its payment: the other event, or the draft's end, is still to come.
            let is_open = [StateName::Initiated, StateName::Held, StateName::PaymentPending]
                .iter()
                .any(|state| state.as_str() == from);
            let waits = is_open && (took_money || matches!(what, What::Refunded(_)));
            if waits { Err(status) } else { Ok(Outcome::Ignored) }
        }
        "ID_REUSED" => {
            tracing::error!(%booking_id, ?what, "the provider named a payment or refund that is another booking's, or ended otherwise");
            Ok(Outcome::Ignored)
        }
        "BOOKING_NOT_FOUND" => Ok(Outcome::Ignored),
        _ if status.code() == Code::NotFound => Ok(Outcome::Ignored),
        _ => Err(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAID: What = What::Succeeded(Uuid::nil());
    const REFUNDED: What = What::Refunded(Uuid::nil());
    const FAILED: What = What::Failed(Uuid::nil());

    fn of(what: &What, code: Code, reason: &str, from: &str) -> Option<Outcome> {
        let status = api::refusal(code, reason, "no", [("from", from.to_owned())]);
        outcome(what, Uuid::nil(), Err(status)).ok()
    }

    #[test]
    fn money_that_came_too_late_is_settled_and_goes_back() {
        for reason in ["HOLD_EXPIRED", "BOOKING_CANCELLED", "ALREADY_PAID"] {
            assert_eq!(of(&PAID, Code::FailedPrecondition, reason, ""), Some(Outcome::RefundDue));
        }
    }

    #[test]
    fn what_the_next_event_or_the_deadline_settles_is_to_be_sent_again() {
        let illegal = |what, from| of(what, Code::FailedPrecondition, "ILLEGAL_TRANSITION", from);
        for from in ["INITIATED", "HELD", "PAYMENT_PENDING"] {
            assert_eq!(illegal(&REFUNDED, from), None, "{from}");
        }
        assert_eq!(illegal(&PAID, "INITIATED"), None);
        for from in ["EXPIRED", "CANCELLED", "REFUNDED"] {
            assert_eq!(illegal(&REFUNDED, from), Some(Outcome::Ignored), "{from}");
        }
        assert_eq!(illegal(&FAILED, "HELD"), Some(Outcome::Ignored));
        assert_eq!(illegal(&What::Started, "CONFIRMED"), Some(Outcome::Ignored));
    }

    #[test]
    fn what_passes_is_to_be_sent_again_and_what_is_not_ours_is_not() {
        assert_eq!(outcome(&PAID, Uuid::nil(), Ok(())).ok(), Some(Outcome::Applied));
        for passing in [api::unavailable(), api::overloaded(), api::internal()] {
            assert!(outcome(&PAID, Uuid::nil(), Err(passing)).is_err());
        }
        assert_eq!(of(&REFUNDED, Code::NotFound, "BOOKING_NOT_FOUND", ""), Some(Outcome::Ignored));
        assert_eq!(of(&PAID, Code::AlreadyExists, "ID_REUSED", ""), Some(Outcome::Ignored));
    }
}
