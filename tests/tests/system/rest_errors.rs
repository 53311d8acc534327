//! What is wrong over REST is told in JSON, whatever it is, and changes nothing.

use std::time::Duration;

use http::{Method, Request};
use prost::bytes::Bytes;
use serde_json::{Value, json};
use stack::ServiceKind;
use system_tests::{Outcome, Rest, Stock, World, customer, fresh_id, hasty, own, seat, shared};

fn booking(line: &Value) -> Value {
    json!({ "customerId": customer(), "hold": true, "lines": [line] })
}

fn units(product_id: &str, quantity: &Value) -> Value {
    json!({ "product": { "productId": product_id, "quantity": quantity } })
}

#[tokio::test]
async fn what_is_not_there_and_what_it_is_not_for_is_told_in_json() {
    let rest = Rest::shared();
    for path in
        ["/", "/v1", "/v1/bookings/", "/v1/bookings/a/b", "/v1/bookings/7:dance", "/index.html", "/docs/no"]
    {
        rest.get(path).await.refused(404, "NOT_FOUND");
    }
    for (method, path, allowed) in [
        (Method::PUT, "/v1/bookings", "POST, GET"),
        (Method::GET, "/v1/bookings/7:pay", "POST"),
        (Method::POST, "/v1/bookings/7/history", "GET"),
        (Method::DELETE, "/v1/bookings/7", "GET"),
        (Method::OPTIONS, "/v1/products/7", "GET, PATCH, DELETE"),
        (Method::POST, "/openapi.json", "GET"),
        (Method::POST, "/livez", "GET,HEAD"),
    ] {
        let request = Request::builder().method(method).uri(path).body(Bytes::new()).expect("a request");
        let answer = rest.send(request).await;
        answer.refused(405, "UNIMPLEMENTED");
        assert_eq!(answer.headers["allow"], allowed, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_by_what_is_wrong_with_it() {
    let rest = Rest::shared();
    let post = async |kind: &str, body: Bytes| {
        let request = Request::post("/v1/bookings").header("content-type", kind).body(body);
        rest.send(request.expect("a request")).await
    };
    for text in ["{", "{]", "nonsense", "\u{0}", "{\"a\":1e999}", "[{}]", "null", "7"] {
        post("application/json", text.into()).await.refused(400, "INVALID_ARGUMENT");
    }
    post("application/json", Bytes::from_static(&[0xff, 0xfe])).await.refused(400, "INVALID_ARGUMENT");
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/grpc",
        "application/json; charset=utf-16",
    ] {
        post(kind, "{}".into()).await.refused(415, "INVALID_ARGUMENT");
    }
    let large = json!({ "customerId": "x".repeat(70_000) }).to_string();
    let answer = post("application/json", large.into()).await;
    answer.refused(413, "INVALID_ARGUMENT");
    // It was not read: the next request would wait behind it.
    assert_eq!(answer.headers["connection"], "close");
}

#[tokio::test]
async fn fields_that_are_not_known_are_refused_by_their_names() {
    let rest = Rest::shared();
    let post = async |body: &Value| rest.post("/v1/bookings", body).await;
    let id = fresh_id();
    post(&json!({ "customer": "ada", "lines": [] })).await.refused_fields(&["customer"]);
    let line = json!({ "product": { "productId": id, "quantity": 1, "colour": "red" } });
    post(&booking(&line)).await.refused_fields(&["lines[0].product.colour"]);
    rest.post(&format!("/v1/bookings/{id}:pay"), &json!({ "booking_id": id }))
        .await
        .refused_fields(&["booking_id"]);
    rest.get("/v1/bookings?customer=ada&limit=3").await.refused_fields(&["customer", "limit"]);
    rest.get("/v1/bookings?pageSize=1&page_size=2").await.refused_fields(&["page_size"]);
    rest.get("/v1/bookings?state=DANCING").await.refused_fields(&["state"]);
    rest.get("/v1/bookings?pageSize=many").await.refused_fields(&["pageSize"]);
}

#[tokio::test]
async fn values_of_the_wrong_kind_are_refused_by_their_places() {
    let rest = Rest::shared();
    let post = async |body: &Value| rest.post("/v1/bookings", body).await;
    let id = fresh_id();
    for quantity in [json!("1.0"), json!("01"), json!(1.5), json!(true), json!({}), json!([1]), Value::Null] {
        post(&booking(&units(&id, &quantity))).await.refused_fields(&["lines[0].product.quantity"]);
    }
    post(&json!({ "customerId": 7, "hold": "yes", "holdTtl": 5, "lines": {} })).await.refused_fields(&[
        "customerId",
        "hold",
        "holdTtl",
        "lines",
    ]);
    let both =
        json!({ "product": { "productId": id, "quantity": 1 }, "seat": { "seatMapId": id, "label": "1A" } });
    post(&booking(&both)).await.refused_fields(&["lines[0].seat"]);
}

#[tokio::test]
async fn what_the_service_finds_bad_is_named_as_json_has_it() {
    let rest = Rest::shared();
    let bad = json!({ "customerId": "", "hold": true, "holdTtl": "0.001s", "lines": [{ "product": { "productId": "7", "quantity": 0 } }] });
    let answer = rest.post("/v1/bookings", &bad).await;
    answer.refused_fields(&[
        "customerId",
        "lines[0].product.productId",
        "lines[0].product.quantity",
        "holdTtl",
    ]);
    assert!(answer.json["message"].as_str().is_some_and(|text| text.starts_with("customerId: is required")));
    // Of what is in the body alone, the place is that in the body.
    rest.post(
        "/v1/products?productId=7",
        &json!({ "sku": "a", "displayName": "b", "price": { "currencyCode": "eur" } }),
    )
    .await
    .refused_fields(&["productId", "price.currencyCode"]);
    rest.post("/v1/products", &Value::Null).await.refused_fields(&["body"]);
    rest.get("/v1/products/7").await.refused_fields(&["productId"]);
    rest.patch(&format!("/v1/products/{}", fresh_id()), &json!({ "held": 5 }))
        .await
        .refused_fields(&["updateMask"]);
}

#[tokio::test]
async fn refusals_by_the_rules_carry_their_reasons() -> Outcome {
    let (world, rest) = (World::shared(), Rest::shared());
    let meal = world.product(2, Duration::from_mins(1)).await;
    let map = world.seat_map(&["1A"], Duration::from_mins(1)).await;
    let too_many = rest.post("/v1/bookings", &booking(&units(&meal.product_id, &json!(3)))).await;
    let metadata = too_many.refused_because(409, "FAILED_PRECONDITION", "INSUFFICIENT_STOCK");
    assert_eq!((&metadata["requested"], &metadata["available"]), (&json!("3"), &json!("2")));
    assert_eq!(world.stock(&meal).await, Stock::new(2, 0, 0));

    let held = world.hold(&[seat(&map, "1A")]).await?;
    let line = json!({ "seat": { "seatMapId": map.seat_map_id, "label": "1A" } });
    let taken = rest.post("/v1/bookings", &booking(&line)).await;
    assert_eq!(taken.refused_because(409, "FAILED_PRECONDITION", "SEAT_TAKEN")["label"], "1A");
    let reused = json!({ "bookingId": held.booking_id, "customerId": "another", "lines": [line] });
    rest.post("/v1/bookings", &reused).await.refused_because(409, "ALREADY_EXISTS", "ID_REUSED");
    let refund = rest.post(&format!("/v1/bookings/{}:refund", held.booking_id), &Value::Null).await;
    let metadata = refund.refused_because(409, "FAILED_PRECONDITION", "ILLEGAL_TRANSITION");
    assert_eq!((&metadata["from"], &metadata["to"]), (&json!("HELD"), &json!("REFUNDED")));
    let unknown = fresh_id();
    let nobody = rest.get(&format!("/v1/bookings/{unknown}")).await;
    assert_eq!(nobody.refused_because(404, "NOT_FOUND", "BOOKING_NOT_FOUND")["booking_id"], json!(unknown));
    Ok(())
}

#[tokio::test]
async fn the_callers_deadline_is_kept_and_an_outage_says_when_to_come_back() -> Outcome {
    let stack = own(hasty()).await;
    let (world, rest) = (World::of(&stack), Rest::of(&stack));
    let meal = world.product(2, Duration::from_mins(1)).await;
    let hold = booking(&units(&meal.product_id, &json!(1)));

    stack.catalog().freeze();
    let request = Request::post("/v1/bookings").header("content-type", "application/json");
    let request = request.header("grpc-timeout", "300m").body(hold.to_string().into());
    rest.send(request.expect("a request")).await.refused(504, "DEADLINE_EXCEEDED");
    stack.catalog().thaw();

    stack.catalog().stop();
    let answer = rest.post("/v1/bookings", &hold).await;
    answer.refused_because(503, "UNAVAILABLE", "UNAVAILABLE");
    assert_eq!(answer.headers["retry-after"], "1");
    Ok(())
}

#[tokio::test]
async fn an_overload_says_when_to_come_back() -> Outcome {
    let stack = own(hasty()).await;
    let crowded = stack.add(ServiceKind::Catalog, &[("HOLDFAST_MAX_CALLS", "1")]).expect("it starts");
    let rest = Rest::of(&stack);
    let url = crowded.http_url();
    let many = (0..200).map(async |_| {
        let request = Request::get("/v1/products").body(Bytes::new()).expect("a request");
        rest.send_to(&url, request).await
    });
    let answers = futures::future::join_all(many).await;
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status != 200).collect();
    assert!(!refused.is_empty(), "nobody was sent away");
    for answer in refused {
        answer.refused_because(429, "RESOURCE_EXHAUSTED", "OVERLOADED");
        assert_eq!(answer.headers["retry-after"], "1");
    }
    Ok(())
}

#[tokio::test]
async fn the_internal_services_are_not_there() {
    let rest = Rest::shared();
    for (service, method) in [
        ("holdfast.reservation.v1.SettlementService", "ResolveHolds"),
        ("holdfast.catalog.v1.HoldService", "PlaceHolds"),
        ("holdfast.catalog.v1.AuditService", "AuditStock"),
    ] {
        let path = format!("/{service}/{method}");
        rest.post(&path, &json!({})).await.refused(404, "NOT_FOUND");
        let request = Request::post(path.as_str()).header("content-type", "application/grpc-web+proto");
        let answer = rest.send(request.body(Bytes::from_static(&[0; 5])).expect("a request")).await;
        assert_eq!(answer.headers["grpc-status"], "12", "{answer:?}");
        assert_eq!(answer.headers["content-type"], "application/grpc-web+proto");
    }
    let paths = shared().reservation().get("/openapi.json").expect("it answers").body;
    assert!(paths.contains("/v1/bookings") && !paths.contains("SettlementService"));
}
