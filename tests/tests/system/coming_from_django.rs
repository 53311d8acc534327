//! `docs/coming-from-django.md`, row by row: what its two ancestors' clients did, they can do here.

use std::time::Duration;

use proto::reservation::BookingState;
use serde_json::{Value, json};
use system_tests::{Outcome, Rest, World, customer, fresh_id};

/// A product of 10 units, as the shop makes it, and where it is.
async fn product(rest: &Rest) -> (String, String) {
    let price = json!({ "currencyCode": "EUR", "minorUnits": 1_250 });
    let product = json!({ "sku": fresh_id(), "displayName": "A meal", "price": price, "onHand": 10 });
    let made = rest.post("/v1/products", &product).await.ok();
    let id = made["productId"].as_str().expect("a text").to_owned();
    (format!("/v1/products/{id}"), id)
}

async fn book(rest: &Rest, line: &Value, hold: bool) -> (String, Value) {
    let request = json!({ "customerId": customer(), "lines": [line], "hold": hold });
    let booking = rest.post("/v1/bookings", &request).await.ok();
    (format!("/v1/bookings/{}", booking["bookingId"].as_str().expect("a text")), booking)
}

fn units(product_id: &str, quantity: i64) -> Value {
    json!({ "product": { "productId": product_id, "quantity": quantity } })
}

async fn counts(rest: &Rest, path: &str) -> [i64; 4] {
    let product = rest.get(path).await.ok();
    ["onHand", "held", "sold", "available"].map(|count| product[count].as_i64().expect("a number"))
}

/// Rows 1 to 6 of product-booking.
#[tokio::test]
async fn products_are_listed_made_read_changed_restocked_and_deleted() {
    let rest = Rest::shared();
    let (path, id) = product(&rest).await;
    assert!(rest.get("/v1/products").await.ok()["products"].is_array());
    assert_eq!(counts(&rest, &path).await, [10, 0, 0, 10]);
    let changed = rest.patch(&path, &json!({ "display_name": "A better meal" })).await.ok();
    assert_eq!(changed["displayName"], "A better meal");
    rest.post(&format!("{path}:adjustStock"), &json!({ "delta": 5 })).await.ok();
    assert_eq!(counts(&rest, &path).await, [15, 0, 0, 15]);
    let (booking, _) = book(&rest, &units(&id, 1), true).await;
    rest.delete(&path).await.refused_because(409, "FAILED_PRECONDITION", "HAS_OPEN_HOLDS");
    rest.post(&format!("{booking}:cancel"), &Value::Null).await.ok();
    system_tests::eventually("the product can be deleted", system_tests::PATIENCE, async || {
        let deleted = rest.delete(&path).await.status;
        system_tests::when(deleted == 200, deleted)
    })
    .await;
}

/// Rows 7 to 10 of product-booking, and its statuses.
#[tokio::test]
async fn units_are_booked_listed_confirmed_and_cancelled() {
    let rest = Rest::shared();
    let (path, id) = product(&rest).await;
    let (first, booking) = book(&rest, &units(&id, 3), true).await;
    assert_eq!(booking["state"], "BOOKING_STATE_HELD");
    let seconds: f64 = booking["remaining"]
        .as_str()
        .and_then(|text| text.trim_end_matches('s').parse().ok())
        .expect("seconds");
    assert!((59.0..=60.0).contains(&seconds), "{seconds}");
    assert_eq!(counts(&rest, &path).await, [10, 3, 0, 7]);
    let customer = booking["customerId"].as_str().expect("a text");
    let listed = rest.get(&format!("/v1/bookings?customerId={customer}&state=HELD")).await.ok();
    assert_eq!(listed["bookings"][0]["bookingId"], booking["bookingId"]);
    assert_eq!(
        rest.post(&format!("{first}:pay"), &json!({ "success": true })).await.ok()["state"],
        "BOOKING_STATE_CONFIRMED"
    );
    let (second, _) = book(&rest, &units(&id, 1), true).await;
    assert_eq!(
        rest.post(&format!("{second}:cancel"), &Value::Null).await.ok()["state"],
        "BOOKING_STATE_CANCELLED"
    );
}

/// The last row of product-booking.
#[tokio::test]
async fn what_is_not_confirmed_expires_by_itself() -> Outcome {
    let (world, rest) = (World::shared(), Rest::shared());
    let meal = world.product(10, Duration::from_secs(1)).await;
    let (path, booking) = book(&rest, &units(&meal.product_id, 4), true).await;
    world.await_state(booking["bookingId"].as_str().expect("a text"), BookingState::Expired).await;
    let expired = rest.get(&path).await.ok();
    assert_eq!((&expired["state"], &expired["remaining"]), (&json!("BOOKING_STATE_EXPIRED"), &json!("0s")));
    rest.post(&format!("{path}:pay"), &json!({ "success": true })).await.refused_because(
        409,
        "FAILED_PRECONDITION",
        "HOLD_EXPIRED",
    );
    Ok(())
}

/// All rows of airline-booking.
#[tokio::test]
async fn a_seat_is_booked_held_paid_for_and_refunded() {
    let rest = Rest::shared();
    let price = json!({ "currencyCode": "EUR", "minorUnits": 12_900 });
    let map =
        json!({ "seatMap": { "displayName": "A flight" }, "seats": [{ "label": "12A", "price": price }] });
    let map = rest.post("/v1/seatMaps", &map).await.ok();
    let seat = json!({ "seat": { "seatMapId": map["seatMapId"], "label": "12A" } });
    let seats = format!("/v1/seatMaps/{}/seats", map["seatMapId"].as_str().expect("a text"));
    let state = async || rest.get(&seats).await.ok()["seats"][0]["state"].clone();

    let (path, booking) = book(&rest, &seat, false).await;
    assert_eq!(
        (&booking["state"], state().await),
        (&json!("BOOKING_STATE_INITIATED"), json!("SEAT_STATE_FREE"))
    );
    let held = rest.post(&format!("{path}:hold"), &Value::Null).await.ok();
    assert_eq!((&held["state"], state().await), (&json!("BOOKING_STATE_HELD"), json!("SEAT_STATE_HELD")));
    let failed = rest.post(&format!("{path}:pay"), &json!({ "success": false })).await.ok();
    assert_eq!(failed["state"], "BOOKING_STATE_HELD");
    let paid = rest.post(&format!("{path}:pay"), &json!({ "success": true })).await.ok();
    assert_eq!(paid["state"], "BOOKING_STATE_CONFIRMED");
    assert_eq!(
        rest.post(&format!("{path}:refund"), &Value::Null).await.ok()["state"],
        "BOOKING_STATE_REFUNDED"
    );
    let customer = booking["customerId"].as_str().expect("a text");
    let listed = rest.get(&format!("/v1/bookings?customerId={customer}")).await.ok();
    assert_eq!(listed["bookings"][0]["state"], "BOOKING_STATE_REFUNDED");
    let history = rest.get(&format!("{path}/history")).await.ok();
    assert!(history["entries"].as_array().is_some_and(|entries| entries.len() >= 5), "{history}");
    system_tests::eventually("the seat is free again", system_tests::PATIENCE, async || {
        let state = state().await;
        system_tests::when(state == "SEAT_STATE_FREE", state)
    })
    .await;
}
