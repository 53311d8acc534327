//! The demo's goods and its customers: what they ask the services, and what the services say.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use proto::catalog::{
    CreateProductRequest, CreateSeatMapRequest, DeleteProductRequest, DeleteSeatMapRequest,
    GetProductRequest, ListSeatsRequest, Product, ProductItem, SeatItem, SeatMap, SeatState,
};
use proto::reservation::line::Item;
use proto::reservation::{
    Booking, BookingState, CancelBookingRequest, CreateBookingRequest, GetBookingRequest, Line,
    PayBookingRequest, RefundBookingRequest,
};
use tonic::Status;
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::client::Clients;
use crate::demo_data::{flight_seats, product};

/// How long anything may take that happens by itself.
const LIMIT: Duration = Duration::from_secs(10);

/// Two products and a flight, made for this run of the demo.
#[derive(Clone, Debug)]
pub(super) struct Shop {
    clients: Clients,
    /// 100 tickets.
    pub(super) tickets: String,
    /// 50 meals.
    pub(super) meals: String,
    /// 180 seats.
    pub(super) flight: String,
}

impl Shop {
    /// Puts the goods on sale.
    pub(super) async fn open(clients: Clients) -> Result<Self> {
        let [tickets, meals, flight] = std::array::from_fn(|_| Uuid::new_v4().to_string());
        let mut catalog = clients.catalog.clone();
        for (id, sku, name, units) in
            [(&tickets, "DEMO-TICKET", "Ticket", 100), (&meals, "DEMO-MEAL", "Meal", 50)]
        {
            let sku = format!("{sku}-{}", &id[..8]);
            let product = Some(product(&sku, name, 1_250, units));
            catalog.create_product(CreateProductRequest { product_id: id.clone(), product }).await?;
        }
        let seat_map = Some(SeatMap { display_name: "The demo's flight".to_owned(), ..SeatMap::default() });
        let seats = flight_seats();
        catalog
            .create_seat_map(CreateSeatMapRequest { seat_map_id: flight.clone(), seat_map, seats })
            .await?;
        Ok(Self { clients, tickets, meals, flight })
    }

    /// Takes the goods off sale; waits for holds that the demo left open.
    pub(super) async fn close(&self) -> Result<()> {
        let catalog = &self.clients.catalog;
        for product_id in [&self.tickets, &self.meals] {
            eventually("the product can be deleted", || async {
                let request = DeleteProductRequest { product_id: product_id.clone(), ..Default::default() };
                Ok(catalog.clone().delete_product(request).await.is_ok().then_some(()))
            })
            .await?;
        }
        eventually("the seat map can be deleted", || async {
            let request = DeleteSeatMapRequest { seat_map_id: self.flight.clone(), ..Default::default() };
            Ok(catalog.clone().delete_seat_map(request).await.is_ok().then_some(()))
        })
        .await
    }

    /// So many units of a product.
    pub(super) fn units(product_id: &str, quantity: i64) -> Line {
        let item = ProductItem { product_id: product_id.to_owned(), quantity };
        Line { item: Some(Item::Product(item)), unit_price: None }
    }

    /// A seat of the flight.
    pub(super) fn seat(&self, label: &str) -> Line {
        let item = SeatItem { seat_map_id: self.flight.clone(), label: label.to_owned() };
        Line { item: Some(Item::Seat(item)), unit_price: None }
    }

    /// Creates a booking with its hold.
    pub(super) async fn hold(
        &self,
        customer: &str,
        lines: Vec<Line>,
        ttl: Duration,
    ) -> Result<Booking, Status> {
        let request = CreateBookingRequest {
            customer_id: customer.to_owned(),
            lines,
            hold: true,
            hold_ttl: prost_types::Duration::try_from(ttl).ok(),
            ..CreateBookingRequest::default()
        };
        let answer = self.clients.bookings.clone().create_booking(request).await?;
        Ok(answer.into_inner().booking.unwrap_or_default())
    }

    /// Pays for a booking.
    pub(super) async fn pay(&self, booking: &Booking) -> Result<Booking> {
        let request = PayBookingRequest {
            booking_id: booking.booking_id.clone(),
            payment_id: Uuid::new_v4().to_string(),
            success: true,
        };
        let answer = self.clients.bookings.clone().pay_booking(request).await?;
        Ok(answer.into_inner().booking.unwrap_or_default())
    }

    /// Refunds a booking.
    pub(super) async fn refund(&self, booking: &Booking) -> Result<Booking> {
        let booking_id = booking.booking_id.clone();
        let request = RefundBookingRequest { booking_id, ..RefundBookingRequest::default() };
        let answer = self.clients.bookings.clone().refund_booking(request).await?;
        Ok(answer.into_inner().booking.unwrap_or_default())
    }

    /// Cancels a booking.
    pub(super) async fn cancel(&self, booking: &Booking) -> Result<Booking> {
        let request = CancelBookingRequest { booking_id: booking.booking_id.clone() };
        let answer = self.clients.bookings.clone().cancel_booking(request).await?;
        Ok(answer.into_inner().booking.unwrap_or_default())
    }

    /// The booking as it is now.
    pub(super) async fn booking(&self, booking: &Booking) -> Result<Booking> {
        let request = GetBookingRequest { booking_id: booking.booking_id.clone() };
        let answer = self.clients.bookings.clone().get_booking(request).await?;
        Ok(answer.into_inner().booking.unwrap_or_default())
    }

    /// The counts of a product.
    pub(super) async fn product(&self, product_id: &str) -> Result<Product> {
        let request = GetProductRequest { product_id: product_id.to_owned() };
        let answer = self.clients.catalog.clone().get_product(request).await?;
        answer.into_inner().product.context("the answer has no product")
    }

    /// The state of a seat of the flight.
    pub(super) async fn seat_state(&self, label: &str) -> Result<SeatState> {
        let seat_map_id = self.flight.clone();
        let request = ListSeatsRequest { seat_map_id, page_size: 200, ..ListSeatsRequest::default() };
        let seats = self.clients.catalog.clone().list_seats(request).await?.into_inner().seats;
        let seat = seats.iter().find(|seat| seat.label == label);
        seat.map(proto::catalog::Seat::state).with_context(|| format!("there is no seat {label}"))
    }

    /// Waits until a seat is in a state.
    pub(super) async fn seat_becomes(&self, label: &str, state: SeatState) -> Result<()> {
        eventually("the seat changes", || async {
            Ok((self.seat_state(label).await? == state).then_some(()))
        })
        .await
    }

    /// Waits until so many units of a product can be had; says how many are held and sold then.
    pub(super) async fn available_becomes(&self, product_id: &str, available: i64) -> Result<Product> {
        eventually("the units come back", || async {
            let product = self.product(product_id).await?;
            Ok((product.available == available).then_some(product))
        })
        .await
    }
}

/// Asks until there is an answer.
pub(super) async fn eventually<T, F>(what: &str, mut ask: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let start = Instant::now();
    while start.elapsed() < LIMIT {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    bail!("waited {LIMIT:?} in vain: {what}")
}

/// The reason that a refusal names; fails when it was none.
pub(super) fn refused(answer: Result<Booking, Status>, reason: &str) -> Result<String> {
    let Err(status) = answer else { bail!("a booking was made that should have been refused with {reason}") };
    let details = status.get_error_details();
    let given = details.error_info().map(|info| info.reason.clone()).unwrap_or_default();
    ensure!(given == reason, "refused, but not with {reason}: {status}");
    Ok(format!("refused: {given}"))
}

/// The state of a booking as people write it; fails when it is not the one expected.
pub(super) fn expect_state(booking: &Booking, expected: BookingState) -> Result<String> {
    let name = |state: BookingState| state.as_str_name().trim_start_matches("BOOKING_STATE_").to_owned();
    let state = booking.state();
    ensure!(state == expected, "the booking is {} and should be {}", name(state), name(expected));
    Ok(name(state))
}
