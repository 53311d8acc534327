//! One call, repeated blindly until it is answered, through whichever replica the dice say.

use std::error::Error as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proto::reservation::booking_service_client::BookingServiceClient;
use proto::reservation::{
    Booking, CancelBookingRequest, CompletePaymentRequest, CreateBookingRequest, ExtendHoldRequest,
    GetBookingRequest, HoldBookingRequest, Line, PayBookingRequest, RefundBookingRequest,
    StartPaymentRequest,
};
use rand::RngExt as _;
use rand::rngs::StdRng;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::history::{Answer, Call, Reason, Seen, State, What};
use crate::time::{Clock, Time};

/// How long a client waits for an answer, and for a connection.
const CALL_TIMEOUT: Duration = Duration::from_secs(3);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// What all clients count together.
#[derive(Debug, Default)]
pub struct Tally {
    /// Calls that were answered.
    pub answered: AtomicU64,
    /// Attempts of which the outcome is unknown: no answer, or none that says what was done.
    pub unknown_attempts: AtomicU64,
}

/// What a call needs to know of its booking.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The booking.
    pub id: Uuid,
    /// The customer.
    pub customer: &'a str,
    /// What is booked.
    pub lines: &'a [Line],
    /// The hold time to ask for.
    pub hold_ttl_ms: Option<u64>,
}

/// The ways of one client to the reservation service.
#[derive(Clone, Debug)]
pub struct Caller {
    replicas: Vec<BookingServiceClient<Channel>>,
    clock: Clock,
    over: CancellationToken,
}

impl Caller {
    /// A client's own connections. What is unanswered when `over` is cancelled stays unknown.
    pub fn new(urls: &[String], clock: Clock, over: CancellationToken) -> anyhow::Result<Self> {
        let channel = |url: &String| {
            let endpoint = Endpoint::from_shared(url.clone())?;
            let endpoint = endpoint.tcp_nodelay(true).connect_timeout(CONNECT_TIMEOUT).timeout(CALL_TIMEOUT);
            Ok(BookingServiceClient::new(endpoint.connect_lazy()))
        };
        let replicas = urls.iter().map(channel).collect::<anyhow::Result<_>>()?;
        Ok(Self { replicas, clock, over })
    }

    /// Calls until there is an answer, or for `patience` attempts that have none.
    pub async fn insist(
        &self,
        mut dice: StdRng,
        subject: Subject<'_>,
        what: What,
        patience: u32,
        tally: &Tally,
    ) -> Call {
        let first = self.clock.now();
        let mut call =
            Call { what, first, last: first, replied: first, attempts: 0, answer: Answer::Unknown };
        while call.attempts < patience && !self.over.is_cancelled() {
            call.attempts += 1;
            call.last = self.clock.now();
            let replica = dice.random_range(0..self.replicas.len());
            let result = tokio::select! {
                result = request(self.replicas[replica].clone(), subject, what) => Some(result),
                () = self.over.cancelled() => None,
            };
            call.replied = self.clock.now();
            let answer = match result {
                Some(Ok(booking)) => Some(seen(&booking)),
                Some(Err(status)) => refused(&status),
                None => None,
            };
            if let Some(answer) = answer {
                call.answer = answer;
                tally.answered.fetch_add(1, Ordering::Relaxed);
                break;
            }
            tally.unknown_attempts.fetch_add(1, Ordering::Relaxed);
            let pause = Duration::from_millis(dice.random_range(20..300));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.over.cancelled() => {}
            }
        }
        call
    }
}

/// What a booking in an answer says.
fn seen(booking: &Booking) -> Answer {
    match (State::from_proto(booking.state()), booking.update_time) {
        (Some(state), Some(updated)) => Answer::Booking(Seen {
            state,
            updated: Time::from_proto(updated),
            deadline: booking.expire_time.map(Time::from_proto),
        }),
        _ => Answer::Wrong(format!("an incomplete booking: {booking:?}")),
    }
}

/// What a refusal says; none when it does not say what was done.
fn refused(status: &Status) -> Option<Answer> {
    let reason = api::reason_of(status);
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => return None,
        // What tonic's client says of its own when its time is up, or a connection breaks.
        Code::Cancelled if reason.is_empty() => return None,
        Code::Unknown | Code::Internal if is_own(status) => return None,
        _ => {}
    }
    Some(match Reason::parse(&reason) {
        Some(reason) => {
            let from = api::metadata_of(status).get("from").and_then(|from| State::parse(from));
            Answer::Refused(reason, from)
        }
        None => Answer::Wrong(format!("{:?} {reason}: {}", status.code(), status.message())),
    })
}

/// Whether the client's own side made the status, of an error of its connection. One that was sent has no such source.
fn is_own(status: &Status) -> bool {
    status.source().is_some()
}

async fn request(
    mut replica: BookingServiceClient<Channel>,
    subject: Subject<'_>,
    what: What,
) -> Result<Booking, Status> {
    let booking_id = subject.id.to_string();
    let hold_ttl = subject.hold_ttl_ms.map(|ms| system_tests::times(Duration::from_millis(ms)));
    let booking = match what {
        What::Create { hold } => {
            let request = CreateBookingRequest {
                booking_id,
                customer_id: subject.customer.to_owned(),
                lines: subject.lines.to_vec(),
                hold,
                hold_ttl: hold_ttl.filter(|_| hold),
            };
            replica.create_booking(request).await?.into_inner().booking
        }
        What::Hold => {
            let request = HoldBookingRequest { booking_id, hold_ttl };
            replica.hold_booking(request).await?.into_inner().booking
        }
        What::Extend { by_ms } => {
            let extension = Some(api::time::to_duration_ms(by_ms));
            replica.extend_hold(ExtendHoldRequest { booking_id, extension }).await?.into_inner().booking
        }
        What::Start => replica.start_payment(StartPaymentRequest { booking_id }).await?.into_inner().booking,
        What::Complete(payment) => {
            let (payment_id, success) = (payment.id.to_string(), payment.success);
            let request = CompletePaymentRequest { booking_id, payment_id, success };
            replica.complete_payment(request).await?.into_inner().booking
        }
        What::Pay(payment) => {
            let (payment_id, success) = (payment.id.to_string(), payment.success);
            let request = PayBookingRequest { booking_id, payment_id, success };
            replica.pay_booking(request).await?.into_inner().booking
        }
        What::Cancel => {
            replica.cancel_booking(CancelBookingRequest { booking_id }).await?.into_inner().booking
        }
        What::Refund(refund) => {
            let request = RefundBookingRequest { booking_id, refund_id: refund.to_string() };
            replica.refund_booking(request).await?.into_inner().booking
        }
        What::Get => replica.get_booking(GetBookingRequest { booking_id }).await?.into_inner().booking,
    };
    Ok(booking.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::io::Error;

    use super::*;

    #[test]
    fn an_error_that_a_service_sent_is_an_answer_and_one_of_the_connection_is_none() {
        // Over the network comes what it says, and nothing of its source.
        let internal = Status::internal(api::internal().message());
        for sent in [internal, Status::internal("anything"), Status::unknown("anything")] {
            assert!(matches!(refused(&sent), Some(Answer::Wrong(_))), "{sent:?}");
        }
        assert_eq!(refused(&Status::from_error(Box::new(Error::other("reset")))), None);
        assert_eq!(refused(&Status::unavailable("away")), None);
        assert_eq!(refused(&Status::cancelled("Timeout expired")), None);
    }
}
