//! `docs/coming-from-django.md`, row by row: what its two ancestors' clients did, they can do here.

use std::{fs, path::Path, time::Duration};

use proto::reservation::BookingState;
use serde_json::{Value, json};
use system_tests::{Outcome, Rest, World, customer, fresh_id};

/// The rows of the page, by what was called before, each with the test that carries it out.
const ROWS: [(&str, &str); 25] = [
    ("`GET /products/`", "products"),
    ("`POST /products/`", "products"),
    ("`GET /products/{id}/`", "products"),
    ("`PUT`, `PATCH /products/{id}/`", "products"),
    ("the stock, by the same", "products"),
    ("`DELETE /products/{id}/`", "products"),
    ("`GET /bookings/`", "units"),
    ("`POST /bookings/`", "units"),
    ("`POST /bookings/confirm/`", "units"),
    ("`POST /bookings/cancel/`", "units"),
    ("status `expired` after 60 s", "expiry"),
    ("`GET /api/bookings/`", "seats"),
    ("`POST /api/bookings/` `{\"seat_id\"}`", "seats"),
    ("`POST /api/bookings/{id}/hold/`", "seats"),
    ("`POST /api/bookings/{id}/pay/` `{\"success\": true}`", "seats"),
    ("`POST /api/bookings/{id}/pay/` `{\"success\": false}`", "seats"),
    ("`POST /api/bookings/{id}/refund/`", "seats"),
    ("`GET $RESERVATION/v1/bookings/{bookingId}/history`", "seats"),
    ("pending", "units"),
    ("confirmed", "units"),
    ("canceled", "units"),
    ("expired", "expiry"),
    ("(airline-booking) created, not held yet", "seats"),
    ("(airline-booking) refunded", "seats"),
    ("new: a payment is under way", "seats"),
];

/// A row that comes needs a test that carries it out.
#[test]
fn every_row_of_the_page_has_its_test() -> Outcome {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/coming-from-django.md");
    let page = fs::read_to_string(page)?;
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let rows: Vec<_> = rows.map(|row| row.trim_matches([' ', '|'])).filter(|&row| row != "before").collect();
    assert_eq!(rows, ROWS.map(|(before, _)| before));
    Ok(())
}

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

/// "products"
#[tokio::test]
async fn products_are_listed_made_read_changed_restocked_and_deleted() {
    let rest = Rest::shared();
    let (path, id) = product(&rest).await;
    let (_, another) = product(&rest).await;
    let page = rest.get("/v1/products?pageSize=1").await.ok();
    let token = page["nextPageToken"].as_str().filter(|token| !token.is_empty()).expect("there is more");
    let next = rest.get(&format!("/v1/products?pageSize=1&pageToken={token}")).await.ok();
    assert_ne!(page["products"][0]["productId"], next["products"][0]["productId"]);
    assert_eq!(counts(&rest, &path).await, [10, 0, 0, 10]);

    let chosen = format!("/v1/products?productId={}", fresh_id());
    let price = json!({ "currencyCode": "EUR", "minorUnits": 1_250 });
    let snack = json!({ "sku": another, "displayName": "A snack", "price": price, "onHand": 3 });
    let made = rest.post(&chosen, &snack).await.ok();
    assert_eq!((rest.post(&chosen, &snack).await.ok(), &made["onHand"]), (made.clone(), &json!(3)));

    let before = rest.get(&path).await.ok();
    let changed = rest.patch(&path, &json!({ "display_name": "A better meal" })).await.ok();
    assert_eq!(changed["displayName"], "A better meal");
    for kept in ["sku", "price", "onHand", "holdTtl", "description"] {
        assert_eq!(changed[kept], before[kept], "{kept}");
    }
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

/// "units"
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
    // Many lines are one booking: all of them or none.
    let (other_path, other_id) = product(&rest).await;
    let many =
        json!({ "customerId": customer(), "hold": true, "lines": [units(&other_id, 1), units(&id, 8)] });
    rest.post("/v1/bookings", &many).await.refused_because(409, "FAILED_PRECONDITION", "INSUFFICIENT_STOCK");
    assert_eq!(counts(&rest, &other_path).await, [10, 0, 0, 10]);
    let customer = booking["customerId"].as_str().expect("a text");
    let listed = async |state: &str| {
        let list = rest.get(&format!("/v1/bookings?customerId={customer}&state={state}")).await.ok();
        list["bookings"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|one| one["bookingId"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed("HELD").await, [booking["bookingId"].clone()]);
    assert_eq!(listed("CONFIRMED").await, [Value::Null; 0]);
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

/// "expiry"
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

/// "seats"
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
    assert_eq!(map["holdTtl"], "600s");
    let held = rest.post(&format!("{path}:hold"), &Value::Null).await.ok();
    let seconds: f64 =
        held["remaining"].as_str().and_then(|text| text.trim_end_matches('s').parse().ok()).expect("seconds");
    assert!((590.0..=600.0).contains(&seconds), "{seconds}");
    assert_eq!((&held["state"], state().await), (&json!("BOOKING_STATE_HELD"), json!("SEAT_STATE_HELD")));
    let failed = rest.post(&format!("{path}:pay"), &json!({ "success": false })).await.ok();
    assert_eq!(failed["state"], "BOOKING_STATE_HELD");
    let paying = rest.post(&format!("{path}:startPayment"), &Value::Null).await.ok();
    assert_eq!(paying["state"], "BOOKING_STATE_PAYMENT_PENDING");
    let failed = json!({ "paymentId": fresh_id(), "success": false });
    let failed = rest.post(&format!("{path}:completePayment"), &failed).await.ok();
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
    let entries = history["entries"].as_array().expect("a list");
    assert!(entries.len() >= 5, "{history}");
    for entry in entries {
        assert!(entry["time"].as_str().is_some_and(|time| time.ends_with('Z')), "{entry}");
    }
    system_tests::eventually("the seat is free again", system_tests::PATIENCE, async || {
        let state = state().await;
        system_tests::when(state == "SEAT_STATE_FREE", state)
    })
    .await;
}
