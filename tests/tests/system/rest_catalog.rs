//! Products and seats over REST.

use serde_json::{Value, json};
use system_tests::{Outcome, Rest, World, fresh_id};

fn euros(minor_units: i64) -> Value {
    json!({ "currencyCode": "EUR", "minorUnits": minor_units })
}

fn product() -> Value {
    json!({ "sku": format!("sku-{}", fresh_id()), "displayName": "A meal", "price": euros(1_250), "onHand": 10 })
}

#[tokio::test]
async fn a_product_is_created_read_changed_counted_and_deleted() -> Outcome {
    let (world, rest) = (World::shared(), Rest::shared());
    let id = fresh_id();
    let made = rest.post(&format!("/v1/products?productId={id}"), &product()).await.ok();
    let counts =
        |product: &Value| ["onHand", "held", "sold", "available"].map(|count| product[count].as_i64());
    assert_eq!((&made["productId"], counts(&made)), (&json!(id), [Some(10), Some(0), Some(0), Some(10)]));
    assert_eq!((&made["holdTtl"], &made["price"]), (&json!("60s"), &euros(1_250)));
    let path = format!("/v1/products/{id}");
    assert_eq!(rest.get(&path).await.ok(), made);
    assert_eq!(world.get_product(&id).await?.display_name, "A meal");

    // Without a mask an update is one of the fields that it gives: a resource that was read can be sent back.
    let mut read = rest.get(&path).await.ok();
    read["displayName"] = json!("A better meal");
    let changed = rest.patch(&path, &read).await.ok();
    assert_eq!(changed["displayName"], "A better meal");
    let stale = rest.patch(&path, &json!({ "description": "Hot", "etag": made["etag"] })).await;
    stale.refused_because(409, "ABORTED", "ETAG_MISMATCH");
    let masked = json!({ "holdTtl": "1.5s", "price": euros(0), "sku": "ignored" });
    let masked = rest.patch(&format!("{path}?updateMask=holdTtl,price"), &masked).await.ok();
    assert_eq!((&masked["holdTtl"], &masked["sku"]), (&json!("1.500s"), &made["sku"]));

    let adjust = json!({ "delta": 5, "reason": "a delivery" });
    let adjusted = rest.post(&format!("{path}:adjustStock"), &adjust).await.ok();
    assert_eq!(counts(&adjusted["product"])[0], Some(15));
    let too_much = rest.post(&format!("{path}:adjustStock"), &json!({ "delta": "-16" })).await;
    assert_eq!(too_much.refused_because(409, "FAILED_PRECONDITION", "STOCK_IN_USE")["on_hand"], "15");

    assert_eq!(rest.delete(&path).await.ok(), json!({}));
    assert_eq!(
        rest.get(&path).await.refused_because(404, "NOT_FOUND", "PRODUCT_NOT_FOUND")["product_id"],
        json!(id)
    );
    Ok(())
}

#[tokio::test]
async fn products_are_listed_page_by_page() {
    let rest = Rest::shared();
    for _ in 0..2 {
        rest.post("/v1/products", &product()).await.ok();
    }
    let first = rest.get("/v1/products?pageSize=1").await.ok();
    let token = first["nextPageToken"].as_str().filter(|token| !token.is_empty()).expect("there is more");
    let second = rest.get(&format!("/v1/products?pageSize=1&pageToken={token}")).await.ok();
    assert_ne!(first["products"][0]["productId"], second["products"][0]["productId"]);
}

#[tokio::test]
async fn a_seat_map_is_created_its_seats_blocked_and_it_is_deleted() {
    let rest = Rest::shared();
    let seat = |label: &str, number: i32| json!({ "label": label, "row": "12", "number": number, "price": euros(9_900) });
    let id = fresh_id();
    let map = json!({ "seatMapId": id, "seatMap": { "displayName": "A flight" }, "seats": [seat("12A", 1), seat("12B", 2)] });
    let made = rest.post("/v1/seatMaps", &map).await.ok();
    assert_eq!((&made["seatMapId"], &made["freeSeats"]), (&json!(id), &json!(2)));
    let path = format!("/v1/seatMaps/{id}");
    let blocked = rest
        .post(&format!("{path}/seats:update"), &json!({ "labels": ["12B"], "action": "BLOCK" }))
        .await
        .ok();
    assert_eq!(blocked["seats"][0]["state"], "SEAT_STATE_BLOCKED");
    let free = rest.get(&format!("{path}/seats?state=FREE")).await.ok();
    assert_eq!(free["seats"].as_array().map(Vec::len), Some(1));
    assert_eq!(free["seats"][0]["label"], "12A");
    let renamed = rest.patch(&path, &json!({ "displayName": "A later flight" })).await.ok();
    assert_eq!((&renamed["displayName"], &renamed["blockedSeats"]), (&json!("A later flight"), &json!(1)));
    assert!(rest.get("/v1/seatMaps?pageSize=1").await.ok()["seatMaps"].is_array());
    assert_eq!(rest.delete(&path).await.ok(), json!({}));
    rest.get(&path).await.refused_because(404, "NOT_FOUND", "SEAT_MAP_NOT_FOUND");
}
