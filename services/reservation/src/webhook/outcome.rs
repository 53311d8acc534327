//! What an event of the payment provider does to its booking, and what the provider is told.
//!
//! It repeats an event until it hears 200. So 200 is for everything that is settled, also where there was nothing to do; and
//! anything else for what a repeat can make good: it comes to an end at the latest when the booking does.

use auth::Role;
use proto::{
    catalog::HoldKey,
    reservation::{
        BookingState, CompletePaymentRequest, GetBookingRequest, PayBookingRequest, RefundBookingRequest,
        ResolveHoldsRequest, StartPaymentRequest, booking_service_client::BookingServiceClient,
        settlement_service_client::SettlementServiceClient,
    },
};
use server::{Caller, Calls};
use tonic::{Code, Request, Status};
use uuid::Uuid;

use super::provider::{Event, Named, What};
use crate::domain::ids::Attempt;

/// What came of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It is so, now or by a repeat.
    Applied,
    /// The money is to go back: recorded, and told to others as `payment.refund_due`.
    RefundDue,
    /// There was nothing to do.
    Ignored,
    /// Money was taken, and nobody can say for which booking.
    Unclaimed,
    /// Money was taken by a payment that another booking has already: one of them was not paid.
    ClaimedTwice,
    /// Not settled: to be sent again.
    Later,
    /// No signature that is good, or too large for one to be looked for.
    Unsigned,
    /// It cannot be read.
    Malformed,
}

impl Outcome {
    pub(super) const ALL: [Self; 8] = [
        Self::Applied,
        Self::RefundDue,
        Self::Ignored,
        Self::Unclaimed,
        Self::ClaimedTwice,
        Self::Later,
        Self::Unsigned,
        Self::Malformed,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::RefundDue => "refund_due",
            Self::Ignored => "ignored",
            Self::Unclaimed => "unclaimed",
            Self::ClaimedTwice => "claimed_twice",
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
        let Event { id, booking_id, what } = event;
        let Some(booking_id) = booking_id else { return Ok(nobodys(&id, &what)) };
        let mut bookings = self.bookings.clone();
        let named = booking_id.to_string();
        match &what {
            What::Started => {
                let request = request(&id, StartPaymentRequest { booking_id: named });
                settled(booking_id, bookings.start_payment(request).await.map(drop))
            }
            What::Failed(attempt) => {
                let payment_id = attempt.id.to_string();
                let failed = CompletePaymentRequest { booking_id: named, payment_id, success: false };
                settled(booking_id, bookings.complete_payment(request(&id, failed)).await.map(drop))
            }
            What::Succeeded(payment) => {
                let done = self.succeeded(&id, booking_id, payment).await;
                let outcome = label(&done);
                tracing::info!(%booking_id, payment_id = %payment.id, provider.payment = payment.name, provider.event = id, outcome, "the provider took money");
                done
            }
            What::Refunded { refund, payment } => {
                let done = self.refunded(&id, booking_id, refund, payment).await;
                let outcome = label(&done);
                tracing::info!(%booking_id, payment_id = %payment.id, refund_id = %refund.id, provider.payment = payment.name, provider.refund = refund.name, provider.event = id, outcome, "the provider paid back");
                done
            }
            What::Other => Ok(Outcome::Ignored),
        }
    }

    /// Money was taken: it is recorded, whatever stands in its way. But for one booking only: the id of a payment that is another
    /// booking's pays for nothing here.
    async fn succeeded(&self, id: &str, booking_id: Uuid, payment: &Named) -> Result<Outcome, Status> {
        let mut done = self.pay(id, booking_id, payment.id).await;
        let nowhere = is(&done, "BOOKING_NOT_FOUND");
        if nowhere {
            self.bury(id, booking_id).await?;
            done = self.pay(id, booking_id, payment.id).await;
        }
        let again = payment.again();
        if used_before(&done).is_some_and(|used| used.failed) {
            tracing::error!(%booking_id, payment_id = %payment.id, %again, "a payment that was told as failed took money: recorded again");
            done = self.pay(id, booking_id, again).await;
        }
        if let Some(Used { used_for, .. }) = used_before(&done) {
            tracing::error!(%booking_id, payment_id = %payment.id, %again, used_for, provider.payment = payment.name, provider.event = id, "a payment that another booking has: somebody must find out whose it is, and whether money was taken twice");
            return Ok(Outcome::ClaimedTwice);
        }
        if nowhere {
            tracing::error!(%booking_id, payment_id = %payment.id, "money was taken for a booking that is not there: it is to go back");
        }
        taken(done)
    }

    /// Both steps in one: the event that it started may come later, or never.
    async fn pay(&self, id: &str, booking_id: Uuid, payment_id: Uuid) -> Result<(), Status> {
        let (booking_id, payment_id) = (booking_id.to_string(), payment_id.to_string());
        let request = request(id, PayBookingRequest { booking_id, payment_id, success: true });
        self.bookings.clone().pay_booking(request).await.map(drop)
    }

    /// Refunds a booking by the refund of its payment. That of another payment is what was due, and none of the booking's.
    async fn refunded(
        &self,
        id: &str,
        booking_id: Uuid,
        refund: &Named,
        payment: &Named,
    ) -> Result<Outcome, Status> {
        let mut bookings = self.bookings.clone();
        let named = booking_id.to_string();
        let found = bookings.get_booking(request(id, GetBookingRequest { booking_id: named.clone() })).await;
        let booking = match found {
            Ok(found) => found.into_inner().booking.unwrap_or_default(),
            Err(status) => return settled(booking_id, Err(status)),
        };
        // The payment of a booking never changes: what is read here holds for the call below.
        if booking.payment_id.is_empty() {
            return unpaid(booking_id, booking.state());
        }
        if ![payment.id, payment.again()].map(|id| id.to_string()).contains(&booking.payment_id) {
            let by = &booking.payment_id;
            tracing::warn!(%booking_id, payment_id = %payment.id, paid_by = by, provider.event = id, "a payment went back that is not the one which paid for the booking: the booking stays as it is");
            return Ok(Outcome::Ignored);
        }
        let refund = RefundBookingRequest { booking_id: named, refund_id: refund.id.to_string() };
        settled(booking_id, bookings.refund_booking(request(id, refund)).await.map(drop))
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

fn is(done: &Result<(), Status>, reason: &str) -> bool {
    done.as_ref().is_err_and(|status| api::reason_of(status) == reason)
}

/// What a payment's id was used for before.
struct Used {
    used_for: String,
    failed: bool,
}

fn used_before(done: &Result<(), Status>) -> Option<Used> {
    let status = done.as_ref().err().filter(|status| api::reason_of(status) == "ID_REUSED")?;
    let mut metadata = api::metadata_of(status);
    Some(Used { used_for: metadata.remove("used_for")?, failed: metadata.contains_key("failed") })
}

fn label(done: &Result<Outcome, Status>) -> &'static str {
    done.as_ref().map_or(Outcome::Later, |outcome| *outcome).as_str()
}

/// What comes of an event that names no booking.
fn nobodys(id: &str, what: &What) -> Outcome {
    let What::Succeeded(payment) = what else { return Outcome::Ignored };
    tracing::error!(payment_id = %payment.id, provider.payment = payment.name, provider.event = id, "money was taken for no booking that can be read");
    Outcome::Unclaimed
}

/// What came of money that was taken: recorded, or to be told again.
fn taken(done: Result<(), Status>) -> Result<Outcome, Status> {
    let Err(status) = done else { return Ok(Outcome::Applied) };
    match &*api::reason_of(&status) {
        "HOLD_EXPIRED" | "BOOKING_CANCELLED" | "ALREADY_PAID" => Ok(Outcome::RefundDue),
        _ => Err(status),
    }
}

/// What comes of a refund of a booking without a payment: it waits for the payment, or for the booking's end.
fn unpaid(booking_id: Uuid, state: BookingState) -> Result<Outcome, Status> {
    if matches!(state, BookingState::Expired | BookingState::Cancelled) {
        return Ok(Outcome::Ignored);
    }
    let metadata = [("booking_id", booking_id.to_string())];
    let message = "the booking is not paid for";
    Err(api::refusal(Code::FailedPrecondition, "ILLEGAL_TRANSITION", message, metadata))
}

/// What came of a call that takes no money. Everything that no repeat could change is settled.
fn settled(booking_id: Uuid, done: Result<(), Status>) -> Result<Outcome, Status> {
    let Err(status) = done else { return Ok(Outcome::Applied) };
    match &*api::reason_of(&status) {
        "ILLEGAL_TRANSITION" | "BOOKING_NOT_FOUND" => Ok(Outcome::Ignored),
        "ID_REUSED" => {
            tracing::error!(%booking_id, %status, "the provider named a payment or refund that is another booking's, or ended otherwise");
            Ok(Outcome::Ignored)
        }
        _ => Err(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: Code, reason: &str) -> Result<(), Status> {
        Err(api::refusal(code, reason, "no", []))
    }

    #[test]
    fn money_that_came_too_late_is_settled_and_goes_back() {
        for reason in ["HOLD_EXPIRED", "BOOKING_CANCELLED", "ALREADY_PAID"] {
            assert_eq!(taken(refusal(Code::FailedPrecondition, reason)).ok(), Some(Outcome::RefundDue));
        }
        assert_eq!(taken(Ok(())).ok(), Some(Outcome::Applied));
    }

    #[test]
    fn money_that_is_not_recorded_is_never_settled() {
        for (code, reason) in [
            (Code::FailedPrecondition, "ILLEGAL_TRANSITION"),
            (Code::AlreadyExists, "ID_REUSED"),
            (Code::NotFound, "BOOKING_NOT_FOUND"),
            (Code::NotFound, "SOMETHING_ELSE"),
        ] {
            assert!(taken(refusal(code, reason)).is_err(), "{reason}");
        }
        for passing in [api::unavailable(), api::overloaded(), api::internal()] {
            assert!(taken(Err(passing)).is_err());
        }
    }

    #[test]
    fn a_refund_waits_for_its_payment_while_there_can_be_one() {
        for state in [BookingState::Initiated, BookingState::Held, BookingState::PaymentPending] {
            assert!(unpaid(Uuid::nil(), state).is_err(), "{state:?}");
        }
        for state in [BookingState::Expired, BookingState::Cancelled] {
            assert_eq!(unpaid(Uuid::nil(), state).ok(), Some(Outcome::Ignored), "{state:?}");
        }
    }

    #[test]
    fn what_no_repeat_could_change_is_settled_and_what_passes_is_not() {
        let of = |code, reason| settled(Uuid::nil(), refusal(code, reason)).ok();
        assert_eq!(of(Code::FailedPrecondition, "ILLEGAL_TRANSITION"), Some(Outcome::Ignored));
        assert_eq!(of(Code::NotFound, "BOOKING_NOT_FOUND"), Some(Outcome::Ignored));
        assert_eq!(of(Code::AlreadyExists, "ID_REUSED"), Some(Outcome::Ignored));
        for passing in [api::unavailable(), api::overloaded(), api::internal()] {
            assert!(settled(Uuid::nil(), Err(passing)).is_err());
        }
    }
}
