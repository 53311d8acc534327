//! What a request over REST says twice, or says otherwise in its body than in its path, is refused by its name.

use http::Request;
use prost::bytes::Bytes;
use serde_json::{Value, json};
use system_tests::{Answer, Rest, fresh_id};

async fn post(rest: &Rest, path: &str, body: impl Into<Bytes>) -> Answer {
    let request = Request::post(path).header("content-type", "application/json").body(body.into());
    rest.send(request.expect("a request")).await
}

fn product() -> Value {
    let price = json!({ "currencyCode": "EUR", "minorUnits": 1_250 });
    json!({ "sku": fresh_id(), "displayName": "A meal", "price": price, "onHand": 10 })
}

#[tokio::test]
async fn a_field_is_given_once_whatever_it_holds() {
    let rest = Rest::shared();
    for (body, field) in [
        (r#"{"customerId":"ada","hold":false,"hold":true,"lines":[]}"#, "hold"),
        (r#"{"customerId":"","customerId":"ada","lines":[]}"#, "customerId"),
        (r#"{"customerId":"ada","customer_id":"ada","lines":[]}"#, "customer_id"),
        (r#"{"customerId":"ada","lines":[],"lines":[]}"#, "lines"),
        (
            r#"{"customerId":"ada","lines":[{"product":{"quantity":0,"quantity":5}}]}"#,
            "lines[0].product.quantity",
        ),
        (r#"{"customerId":"ada","holdTtl":null,"hold_ttl":null,"lines":[]}"#, "hold_ttl"),
    ] {
        let answer = post(&rest, "/v1/bookings", body).await;
        let details = answer.refused(400, "INVALID_ARGUMENT");
        let twice = details[0]["fieldViolations"].as_array().expect("a list");
        assert_eq!(twice[0]["field"], field, "{body}: {answer:?}");
        assert_eq!(twice[0]["description"], "must be given once", "{body}: {answer:?}");
    }
    rest.get("/v1/bookings?pageSize=0&pageSize=5").await.refused_fields(&["pageSize"]);
    rest.get("/v1/bookings?customerId=&customer_id=ada").await.refused_fields(&["customer_id"]);
}

#[tokio::test]
async fn an_update_of_another_than_the_path_names_is_refused() {
    let rest = Rest::shared();
    let [id, other] = [fresh_id(), fresh_id()];
    let made = rest.post(&format!("/v1/products?productId={id}"), &product()).await.ok();
    let path = format!("/v1/products/{id}");
    let change = |id: &str| json!({ "productId": id, "displayName": "Another meal" });
    rest.patch(&path, &change(&other)).await.refused_fields(&["productId"]);
    assert_eq!(rest.get(&path).await.ok(), made);
    for same in [id.clone(), id.to_uppercase(), String::new()] {
        assert_eq!(rest.patch(&path, &change(&same)).await.ok()["productId"], json!(id));
    }
}

#[tokio::test]
async fn a_creation_under_two_names_is_refused() {
    let rest = Rest::shared();
    let [id, other] = [fresh_id(), fresh_id()];
    let mut named = product();
    named["productId"] = json!(other);
    // By the server's choice it would get a third name.
    for path in ["/v1/products".to_owned(), format!("/v1/products?productId={id}")] {
        rest.post(&path, &named).await.refused_fields(&["productId"]);
    }
    assert_eq!(rest.get(&format!("/v1/products/{id}")).await.status, 404);
    assert_eq!(
        rest.post(&format!("/v1/products?productId={other}"), &named).await.ok()["productId"],
        json!(other)
    );

    let seat = |id: &str| json!({ "seatMapId": id, "label": "1A", "price": named["price"] });
    let map = |within: &str, of_seat: &str| json!({ "seatMapId": id, "seatMap": { "seatMapId": within, "displayName": "A flight" }, "seats": [seat(of_seat)] });
    rest.post("/v1/seatMaps", &map(&other, &id)).await.refused_fields(&["seatMap.seatMapId"]);
    rest.post("/v1/seatMaps", &map("", &other)).await.refused_fields(&["seats[0].seatMapId"]);
    assert_eq!(rest.post("/v1/seatMaps", &map(&id, &id)).await.ok()["seatMapId"], json!(id));
}
