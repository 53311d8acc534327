//! The whole life of a booking over gRPC. Needs a Holdfast that runs (`make up`); `cargo run --package example`.

use std::env;

use anyhow::{Context as _, ensure};
use proto::{
    catalog::{
        CreateProductRequest, Money, Product, ProductItem, catalog_service_client::CatalogServiceClient,
    },
    reservation::{
        Booking, CancelBookingRequest, CreateBookingRequest, ExtendHoldRequest, Line,
        ListBookingHistoryRequest, PayBookingRequest, RefundBookingRequest,
        booking_service_client::BookingServiceClient, line::Item,
    },
};
use tonic_types::StatusExt as _;
use uuid::Uuid;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut catalog = CatalogServiceClient::connect(address("HOLDFAST_CATALOG", "127.0.0.1:50051")).await?;
    let mut bookings =
        BookingServiceClient::connect(address("HOLDFAST_RESERVATION", "127.0.0.1:50052")).await?;

    // Ids are chosen here, so that every call may be repeated when its answer got lost.
    let [product_id, booking_id] = [Uuid::now_v7(), Uuid::now_v7()].map(|id| id.to_string());
    let product = Product {
        sku: format!("rust-{product_id}"),
        display_name: "Concert ticket".to_owned(),
        price: Some(Money { currency_code: "EUR".to_owned(), minor_units: 4_900 }),
        on_hand: 100,
        ..Product::default()
    };
    let request = CreateProductRequest { product_id: product_id.clone(), product: Some(product) };
    catalog.create_product(request).await.context("create a product")?;

    let item = Item::Product(ProductItem { product_id, quantity: 2 });
    let request = CreateBookingRequest {
        booking_id: booking_id.clone(),
        customer_id: "ada".to_owned(),
        lines: vec![Line { item: Some(item), unit_price: None }],
        hold: true,
        hold_ttl: None,
    };
    show(bookings.create_booking(request).await?.into_inner().booking);

    let extension = Some(prost_types::Duration { seconds: 60, nanos: 0 });
    let request = ExtendHoldRequest { booking_id: booking_id.clone(), extension };
    show(bookings.extend_hold(request).await?.into_inner().booking);
    let request =
        PayBookingRequest { booking_id: booking_id.clone(), payment_id: String::new(), success: true };
    show(bookings.pay_booking(request).await?.into_inner().booking);
    let request = RefundBookingRequest { booking_id: booking_id.clone(), refund_id: String::new() };
    show(bookings.refund_booking(request).await?.into_inner().booking);

    let request = CancelBookingRequest { booking_id: booking_id.clone() };
    let refused = bookings.cancel_booking(request).await.err().context("it was refunded already")?;
    let reason = refused.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    ensure!(reason == "ILLEGAL_TRANSITION", "another reason: {refused:?}");

    let request =
        ListBookingHistoryRequest { booking_id: booking_id.clone(), ..ListBookingHistoryRequest::default() };
    for entry in bookings.list_booking_history(request).await?.into_inner().entries {
        println!("{} {}", entry.sequence, entry.to_state().as_str_name());
    }
    println!("done: {booking_id}");
    Ok(())
}

/// Where a service is.
fn address(variable: &str, default: &str) -> String {
    format!("http://{}", env::var(variable).unwrap_or_else(|_| default.to_owned()))
}

fn show(booking: Option<Booking>) {
    println!("{}", booking.unwrap_or_default().state().as_str_name());
}
