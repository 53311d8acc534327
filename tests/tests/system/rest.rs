//! Bookings over REST: everything that they can do over gRPC, through the same path.

use std::time::Duration;

use proto::reservation::BookingState;
use serde_json::{Value, json};
use system_tests::{Outcome, Rest, Stock, World, customer, eventually, fresh_id, shared, units, when};

/// A request for a hold on so many units.
fn hold(id: &str, product_id: &str, quantity: i64) -> Value {
    json!({
        "bookingId": id, "customerId": customer(), "hold": true,
        "lines": [{ "product": { "productId": product_id, "quantity": quantity } }],
    })
}

#[tokio::test]
async fn a_booking_made_over_rest_is_seen_over_grpc() -> Outcome {
    let (world, rest) = (World::shared(), Rest::shared());
    let meal = world.product(10, Duration::from_mins(1)).await;
    let id = fresh_id();
    let made = rest.post("/v1/bookings", &hold(&id, &meal.product_id, 3)).await.ok();
    assert_eq!((&made["bookingId"], &made["state"]), (&json!(id), &json!("BOOKING_STATE_HELD")));
    assert_eq!(made["total"], json!({ "currencyCode": "EUR", "minorUnits": 3_750 }));
    let booking = world.get(&id).await?;
    assert_eq!(booking.state(), BookingState::Held);
    assert_eq!(made["customerId"], json!(booking.customer_id));
    assert_eq!(world.stock(&meal).await, Stock::new(10, 3, 0));
    Ok(())
}

#[tokio::test]
async fn a_booking_made_over_grpc_is_seen_over_rest_with_all_its_fields() -> Outcome {
    let (world, rest) = (World::shared(), Rest::shared());
    let meal = world.product(10, Duration::from_mins(1)).await;
    let draft = world.draft(&[units(&meal, 2)]).await?;
    let seen = rest.get(&format!("/v1/bookings/{}", draft.booking_id)).await.ok();
    let line = json!({ "product": { "productId": meal.product_id, "quantity": 2 }, "unitPrice": null });
    assert_eq!(seen["lines"], json!([line]));
    // What is not set is there, and says so.
    for (field, unset) in [
        ("total", Value::Null),
        ("expiredTime", Value::Null),
        ("paymentId", json!("")),
        ("refundId", json!("")),
    ] {
        assert_eq!(seen.get(field), Some(&unset), "{field}: {seen}");
    }
    assert!(seen["createTime"].as_str().is_some_and(|time| time.ends_with('Z')), "{seen}");
    assert!(seen["remaining"].as_str().is_some_and(|left| left.ends_with('s')), "{seen}");
    Ok(())
}

#[tokio::test]
async fn a_booking_lives_its_whole_life_over_rest() -> Outcome {
    let (world, rest) = (World::shared(), Rest::shared());
    let meal = world.product(10, Duration::from_mins(1)).await;
    let id = fresh_id();
    let mut draft = hold(&id, &meal.product_id, 4);
    draft["hold"] = false.into();
    let booking = format!("/v1/bookings/{id}");
    let verb = |verb: &str| format!("{booking}:{verb}");
    assert_eq!(rest.post("/v1/bookings", &draft).await.ok()["state"], "BOOKING_STATE_INITIATED");
    // A body may be left out where nothing in it is needed.
    assert_eq!(rest.post(&verb("hold"), &Value::Null).await.ok()["state"], "BOOKING_STATE_HELD");
    let extended = rest.post(&verb("extend"), &json!({ "extension": "30s" })).await.ok();
    assert_eq!(extended["state"], "BOOKING_STATE_HELD");
    assert_eq!(
        rest.post(&verb("startPayment"), &json!({})).await.ok()["state"],
        "BOOKING_STATE_PAYMENT_PENDING"
    );
    let payment = fresh_id();
    let paid =
        rest.post(&verb("completePayment"), &json!({ "paymentId": payment, "success": true })).await.ok();
    assert_eq!((&paid["state"], &paid["paymentId"]), (&json!("BOOKING_STATE_CONFIRMED"), &json!(payment)));
    world.await_stock(&meal, Stock::new(10, 0, 4)).await;
    let refunded = rest.post(&verb("refund"), &Value::Null).await.ok();
    assert_eq!(refunded["state"], "BOOKING_STATE_REFUNDED");
    // A repeat changes nothing.
    assert_eq!(rest.post(&verb("refund"), &Value::Null).await.ok()["updateTime"], refunded["updateTime"]);

    let history = rest.get(&format!("{booking}/history?pageSize=10")).await.ok();
    let path: Vec<_> =
        history["entries"].as_array().expect("a list").iter().map(|entry| &entry["toState"]).collect();
    let states = ["INITIATED", "HELD", "HELD", "PAYMENT_PENDING", "CONFIRMED", "REFUNDED"];
    assert_eq!(path, states.map(|state| format!("BOOKING_STATE_{state}")).iter().collect::<Vec<_>>());
    assert_eq!(history["nextPageToken"], "");
    world.await_stock(&meal, Stock::new(10, 0, 0)).await;
    Ok(())
}

#[tokio::test]
async fn bookings_are_paid_in_one_call_cancelled_and_listed() -> Outcome {
    let (world, rest) = (World::shared(), Rest::shared());
    let meal = world.product(10, Duration::from_mins(1)).await;
    let [paid, cancelled] = [fresh_id(), fresh_id()];
    let mut request = hold(&paid, &meal.product_id, 1);
    let customer = request["customerId"].clone();
    rest.post("/v1/bookings", &request).await.ok();
    request["bookingId"] = json!(cancelled);
    rest.post("/v1/bookings", &request).await.ok();
    let pay = rest.post(&format!("/v1/bookings/{paid}:pay"), &json!({ "success": true })).await.ok();
    assert_eq!(pay["state"], "BOOKING_STATE_CONFIRMED");
    let cancel = rest.post(&format!("/v1/bookings/{cancelled}:cancel"), &json!({})).await.ok();
    assert_eq!((&cancel["state"], &cancel["remaining"]), (&json!("BOOKING_STATE_CANCELLED"), &json!("0s")));

    let customer = customer.as_str().expect("a text");
    let list = async |more: &str| rest.get(&format!("/v1/bookings?customerId={customer}{more}")).await.ok();
    let ids = |list: &Value| -> Vec<String> {
        let ids = list["bookings"].as_array().expect("a list").iter().map(|booking| &booking["bookingId"]);
        ids.map(|id| id.as_str().expect("a text").to_owned()).collect()
    };
    assert_eq!(ids(&list("").await), [cancelled.clone(), paid.clone()]);
    // States by their short names too, fields as in the proto too.
    for state in ["BOOKING_STATE_CONFIRMED", "CONFIRMED"] {
        assert_eq!(ids(&list(&format!("&state={state}")).await), std::slice::from_ref(&paid));
    }
    let first = list("&page_size=1").await;
    assert_eq!(ids(&first), [cancelled]);
    let token = first["nextPageToken"].as_str().expect("a text");
    assert_eq!(ids(&list(&format!("&pageSize=1&pageToken={token}")).await), [paid]);
    Ok(())
}

#[tokio::test]
async fn calls_over_rest_are_counted_as_the_rpcs_that_they_are() {
    let rest = Rest::shared();
    let id = fresh_id();
    rest.post(&format!("/v1/bookings/{id}:startPayment"), &Value::Null).await.refused(404, "NOT_FOUND");
    eventually("the call is in the metrics", system_tests::PATIENCE, async || {
        let metrics = shared().reservation().get("/metrics").expect("it answers").body;
        let counted = metrics
            .lines()
            .any(|line| line.contains("BookingService/StartPayment") && line.contains("NOT_FOUND"));
        when(counted, metrics.len())
    })
    .await;
}
