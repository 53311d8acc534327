//! Bookings, one method for each call, and what is known of one.

use std::time::Duration;

use proto::{
    catalog::{Product, ProductItem, SeatItem, SeatMap},
    reservation::{
        Booking, BookingHistoryEntry, BookingState, CancelBookingRequest, CompletePaymentRequest,
        CreateBookingRequest, ExtendHoldRequest, GetBookingRequest, HoldBookingRequest, Line,
        ListBookingHistoryRequest, PayBookingRequest, RefundBookingRequest, StartPaymentRequest, line::Item,
    },
};
use tonic::Status;
use uuid::Uuid;

use crate::{PATIENCE, World, eventually, when};

/// An id that nobody has used.
#[must_use]
pub fn fresh_id() -> String {
    Uuid::now_v7().to_string()
}

/// A customer whom nobody knows.
#[must_use]
pub fn customer() -> String {
    format!("customer-{}", Uuid::new_v4())
}

/// A duration in protobuf. Whole milliseconds only.
#[must_use]
pub fn times(duration: Duration) -> prost_types::Duration {
    api::time::to_duration_ms(i64::try_from(duration.as_millis()).expect("a test's durations are short"))
}

/// A line of so many units.
#[must_use]
pub fn units(product: &Product, quantity: i64) -> Line {
    let item = Item::Product(ProductItem { product_id: product.product_id.clone(), quantity });
    Line { item: Some(item), unit_price: None }
}

/// A line of one seat.
#[must_use]
pub fn seat(map: &SeatMap, label: &str) -> Line {
    let item = Item::Seat(SeatItem { seat_map_id: map.seat_map_id.clone(), label: label.to_owned() });
    Line { item: Some(item), unit_price: None }
}

/// The name of a booking's state as errors have it: `HELD`.
#[must_use]
pub fn state_of(booking: &Booking) -> &'static str {
    booking.state().as_str_name().trim_start_matches("BOOKING_STATE_")
}

/// Everything that is known of a booking and does not change by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The booking, without the time that remains.
    pub booking: Booking,
    /// What happened to it.
    pub history: Vec<BookingHistoryEntry>,
}

impl Record {
    /// The states that it went through, as errors have them.
    #[must_use]
    pub fn path(&self) -> Vec<&'static str> {
        let name = |entry: &BookingHistoryEntry| entry.to_state().as_str_name();
        self.history.iter().map(|entry| name(entry).trim_start_matches("BOOKING_STATE_")).collect()
    }
}

/// Calls one RPC and takes the booking out of the answer.
macro_rules! booking_of {
    ($world:ident.$rpc:ident($request:expr)) => {{
        let answer = $world.bookings.clone().$rpc($request).await?.into_inner();
        Ok(answer.booking.expect("the answer has the booking"))
    }};
}

impl World {
    /// CreateBooking.
    pub async fn create(&self, request: CreateBookingRequest) -> Result<Booking, Status> {
        booking_of!(self.create_booking(request))
    }

    /// CreateBooking with a hold, for a new customer.
    pub async fn hold(&self, lines: &[Line]) -> Result<Booking, Status> {
        self.create(request(lines, true)).await
    }

    /// CreateBooking with a hold, for this customer.
    pub async fn hold_for(&self, customer_id: &str, lines: &[Line]) -> Result<Booking, Status> {
        let customer_id = customer_id.to_owned();
        self.create(CreateBookingRequest { customer_id, ..request(lines, true) }).await
    }

    /// CreateBooking without a hold, for a new customer.
    pub async fn draft(&self, lines: &[Line]) -> Result<Booking, Status> {
        self.create(request(lines, false)).await
    }

    /// HoldBooking, for as long as the goods give.
    pub async fn hold_draft(&self, booking_id: &str) -> Result<Booking, Status> {
        booking_of!(
            self.hold_booking(HoldBookingRequest { booking_id: booking_id.to_owned(), hold_ttl: None })
        )
    }

    /// ExtendHold.
    pub async fn extend(&self, booking_id: &str, by: Duration) -> Result<Booking, Status> {
        let (booking_id, extension) = (booking_id.to_owned(), Some(times(by)));
        booking_of!(self.extend_hold(ExtendHoldRequest { booking_id, extension }))
    }

    /// StartPayment.
    pub async fn start_payment(&self, booking_id: &str) -> Result<Booking, Status> {
        booking_of!(self.start_payment(StartPaymentRequest { booking_id: booking_id.to_owned() }))
    }

    /// CompletePayment.
    pub async fn complete(
        &self,
        booking_id: &str,
        payment_id: &str,
        success: bool,
    ) -> Result<Booking, Status> {
        let (booking_id, payment_id) = (booking_id.to_owned(), payment_id.to_owned());
        booking_of!(self.complete_payment(CompletePaymentRequest { booking_id, payment_id, success }))
    }

    /// PayBooking with a payment that succeeded, without a name.
    pub async fn pay(&self, booking_id: &str) -> Result<Booking, Status> {
        self.pay_with(booking_id, "", true).await
    }

    /// PayBooking.
    pub async fn pay_with(
        &self,
        booking_id: &str,
        payment_id: &str,
        success: bool,
    ) -> Result<Booking, Status> {
        let (booking_id, payment_id) = (booking_id.to_owned(), payment_id.to_owned());
        booking_of!(self.pay_booking(PayBookingRequest { booking_id, payment_id, success }))
    }

    /// CancelBooking.
    pub async fn cancel(&self, booking_id: &str) -> Result<Booking, Status> {
        booking_of!(self.cancel_booking(CancelBookingRequest { booking_id: booking_id.to_owned() }))
    }

    /// RefundBooking without a name for the refund.
    pub async fn refund(&self, booking_id: &str) -> Result<Booking, Status> {
        self.refund_with(booking_id, "").await
    }

    /// RefundBooking.
    pub async fn refund_with(&self, booking_id: &str, refund_id: &str) -> Result<Booking, Status> {
        let (booking_id, refund_id) = (booking_id.to_owned(), refund_id.to_owned());
        booking_of!(self.refund_booking(RefundBookingRequest { booking_id, refund_id }))
    }

    /// GetBooking.
    pub async fn get(&self, booking_id: &str) -> Result<Booking, Status> {
        booking_of!(self.get_booking(GetBookingRequest { booking_id: booking_id.to_owned() }))
    }

    /// ListBookingHistory, all of it.
    pub async fn history(&self, booking_id: &str) -> Result<Vec<BookingHistoryEntry>, Status> {
        let request = ListBookingHistoryRequest {
            booking_id: booking_id.to_owned(),
            page_size: 1_000,
            page_token: String::new(),
        };
        Ok(self.bookings.clone().list_booking_history(request).await?.into_inner().entries)
    }

    /// Everything about a booking that must not change without reason.
    pub async fn record(&self, booking_id: &str) -> Record {
        let booking = self.get(booking_id).await.expect("the booking is there");
        let history = self.history(booking_id).await.expect("the booking has a history");
        Record { booking: Booking { remaining: None, ..booking }, history }
    }

    /// Waits until a booking is in this state.
    pub async fn await_state(&self, booking_id: &str, state: BookingState) -> Booking {
        eventually("the booking is in the state that it should be in", PATIENCE, async || {
            let booking = self.get(booking_id).await.expect("the booking is there");
            when(booking.state() == state, booking)
        })
        .await
    }

    /// Waits until reservation's clock shows at least this time.
    pub async fn await_clock(&self, time: prost_types::Timestamp) {
        let wanted = (time.seconds, time.nanos);
        eventually("reservation's clock has come so far", PATIENCE, async || {
            let request = proto::reservation::ResolveHoldsRequest::default();
            let answer = self.settlement.clone().resolve_holds(request).await.expect("it answers");
            let now = answer.into_inner().server_time.expect("it tells its time");
            when((now.seconds, now.nanos) >= wanted, now)
        })
        .await;
    }
}

/// A new booking for a new customer.
fn request(lines: &[Line], hold: bool) -> CreateBookingRequest {
    CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer(),
        lines: lines.to_vec(),
        hold,
        hold_ttl: None,
    }
}
