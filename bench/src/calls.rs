//! The calls that the load makes: their paths, and their messages, of which all but the ids is encoded once.

use std::fmt::Write as _;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use proto::catalog::{ProductItem, SeatItem};
use proto::reservation::line::Item;
use proto::reservation::{CreateBookingRequest, Line};
use tonic::Status;
use uuid::Uuid;

use crate::load::Caller;

/// CreateBooking.
pub const CREATE_BOOKING: &str = "/holdfast.reservation.v1.BookingService/CreateBooking";
/// PayBooking.
pub const PAY_BOOKING: &str = "/holdfast.reservation.v1.BookingService/PayBooking";
/// CancelBooking.
pub const CANCEL_BOOKING: &str = "/holdfast.reservation.v1.BookingService/CancelBooking";
/// RefundBooking.
pub const REFUND_BOOKING: &str = "/holdfast.reservation.v1.BookingService/RefundBooking";
/// GetBooking.
pub const GET_BOOKING: &str = "/holdfast.reservation.v1.BookingService/GetBooking";
/// ListBookings.
pub const LIST_BOOKINGS: &str = "/holdfast.reservation.v1.BookingService/ListBookings";
/// CreateProduct.
pub const CREATE_PRODUCT: &str = "/holdfast.catalog.v1.CatalogService/CreateProduct";
/// CreateSeatMap.
pub const CREATE_SEAT_MAP: &str = "/holdfast.catalog.v1.CatalogService/CreateSeatMap";
/// GetProduct.
pub const GET_PRODUCT: &str = "/holdfast.catalog.v1.CatalogService/GetProduct";
/// ListSeats.
pub const LIST_SEATS: &str = "/holdfast.catalog.v1.CatalogService/ListSeats";

/// How many customers there are.
pub const CUSTOMERS: u64 = 10_000;

/// The id of a booking.
pub type BookingId = Uuid;

/// An id that nobody has used.
#[must_use]
pub fn fresh_id() -> BookingId {
    Uuid::now_v7()
}

/// The name of a customer.
#[must_use]
pub fn customer(n: u64) -> String {
    format!("customer-{:06}", n % CUSTOMERS)
}

/// A message, encoded.
#[must_use]
pub fn encode(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

/// A line of one unit of a product, encoded as part of a request.
#[must_use]
pub fn unit(product_id: Uuid) -> Bytes {
    line(Item::Product(ProductItem { product_id: product_id.to_string(), quantity: 1 }))
}

/// A line of one seat, encoded as part of a request.
#[must_use]
pub fn seat(seat_map_id: Uuid, label: &str) -> Bytes {
    line(Item::Seat(SeatItem { seat_map_id: seat_map_id.to_string(), label: label.to_owned() }))
}

fn line(item: Item) -> Bytes {
    let lines = vec![Line { item: Some(item), unit_price: None }];
    encode(&CreateBookingRequest { lines, ..CreateBookingRequest::default() })
}

/// A CreateBookingRequest with a hold: fields of protobuf may follow each other in any order.
fn hold_request(id: BookingId, customer: u64, line: &[u8], ttl_seconds: Option<u32>) -> Bytes {
    let mut message = BytesMut::with_capacity(192);
    put_booking_id(&mut message, id);
    // customer_id = 2
    message.put_slice(&[0x12, 15]);
    let _ = write!(message, "customer-{:06}", customer % CUSTOMERS);
    // lines = 3
    message.put_slice(line);
    // hold = 4
    message.put_slice(&[0x20, 1]);
    if let Some(seconds) = ttl_seconds {
        // hold_ttl = 5
        let ttl = prost_types::Duration { seconds: seconds.into(), nanos: 0 };
        message.put_slice(&[0x2a, u8::try_from(ttl.encoded_len()).unwrap_or(u8::MAX)]);
        let _ = ttl.encode(&mut message);
    }
    message.freeze()
}

/// booking_id = 1, as in every request about one booking.
fn put_booking_id(message: &mut BytesMut, id: BookingId) {
    message.put_slice(&[0x0a, 36]);
    message.put_slice(id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).as_bytes());
}

/// A request that only names a booking.
#[must_use]
pub fn about(id: BookingId) -> Bytes {
    let mut message = BytesMut::with_capacity(40);
    put_booking_id(&mut message, id);
    message.freeze()
}

/// A PayBookingRequest with a payment that succeeded.
fn payment(id: BookingId) -> Bytes {
    let mut message = BytesMut::with_capacity(40);
    put_booking_id(&mut message, id);
    // success = 3
    message.put_slice(&[0x18, 1]);
    message.freeze()
}

impl Caller {
    /// Holds what the line says for a new booking, for as long as its goods give.
    pub async fn hold(&mut self, customer: u64, line: &[u8]) -> Result<BookingId, Status> {
        let id = fresh_id();
        self.call(CREATE_BOOKING, hold_request(id, customer, line, None)).await?;
        Ok(id)
    }

    /// Holds what the line says for so many seconds.
    pub async fn hold_for(&mut self, customer: u64, line: &[u8], seconds: u32) -> Result<BookingId, Status> {
        let id = fresh_id();
        self.call(CREATE_BOOKING, hold_request(id, customer, line, Some(seconds))).await?;
        Ok(id)
    }

    /// Pays.
    pub async fn pay(&mut self, id: BookingId) -> Result<(), Status> {
        self.call(PAY_BOOKING, payment(id)).await.map(drop)
    }

    /// Cancels.
    pub async fn cancel(&mut self, id: BookingId) -> Result<(), Status> {
        self.call(CANCEL_BOOKING, about(id)).await.map(drop)
    }

    /// Refunds.
    pub async fn refund(&mut self, id: BookingId) -> Result<(), Status> {
        self.call(REFUND_BOOKING, about(id)).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use proto::reservation::PayBookingRequest;

    use super::*;

    #[test]
    fn messages_say_what_they_should() {
        let (id, product_id) = (fresh_id(), Uuid::new_v4());
        let message = hold_request(id, 7, &unit(product_id), Some(5));
        let request = CreateBookingRequest::decode(message).expect("it is a request");
        assert_eq!(request.booking_id, id.to_string());
        assert_eq!(request.customer_id, customer(7));
        assert!(request.hold);
        assert_eq!(request.hold_ttl, Some(prost_types::Duration { seconds: 5, nanos: 0 }));
        let item = request.lines[0].item.clone();
        let wanted = ProductItem { product_id: product_id.to_string(), quantity: 1 };
        assert_eq!((request.lines.len(), item), (1, Some(Item::Product(wanted))));
        let payment = PayBookingRequest::decode(payment(id)).expect("it is a request");
        assert_eq!((payment.booking_id, payment.success), (id.to_string(), true));
    }
}
