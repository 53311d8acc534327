//! Who is let in over HTTP, and for how long: as over gRPC, before anything of a body is read.

use std::time::Duration;

use prost::bytes::Bytes;
use proto::catalog::{ListOverdueHoldsRequest, ListProductsRequest};
use stack::{Service, ServiceKind};
use system_tests::{
    Answer, Outcome, PATIENCE, Rest, World, assert_refused, customer, eventually, fresh_id, hasty, own,
    shared, when,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::Code;

/// A request whose body of so many bytes does not come.
async fn begin(service: &Service, more: &str) -> TcpStream {
    let address = service.http_url().replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.expect("it listens");
    let head = format!(
        "POST /v1/products HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\
         connection: close\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it is taken");
    stream
}

/// All that is answered.
async fn answer(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("an answer");
    String::from_utf8_lossy(&text).into_owned()
}

fn metric(service: &Service, parts: &[&str]) -> Option<f64> {
    let metrics = service.get("/metrics").expect("it answers").body;
    let line = metrics
        .lines()
        .find(|line| !line.starts_with('#') && parts.iter().all(|part| line.contains(part)))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// A service that has just started says that it is ready, and so serves REST.
fn assert_serves(service: &Service) {
    assert_eq!(service.get("/v1/products/7").expect("it answers").status, 400);
}

#[tokio::test]
async fn requests_that_are_sent_slowly_keep_nobody_out() -> Outcome {
    let stack = own(hasty()).await;
    let small = &stack.add(ServiceKind::Catalog, &[("HOLDFAST_MAX_CALLS", "2")]).expect("it starts");
    assert_serves(small);
    let mut slow = Vec::new();
    for _ in 0..64 {
        slow.push(begin(small, "").await);
    }
    // Over HTTP and over gRPC: one at a time has a place.
    for _ in 0..20 {
        assert_eq!(small.get("/v1/products").expect("it answers").status, 200);
    }
    let mut catalog = World::of(&stack).with_catalog(small).catalog;
    for _ in 0..20 {
        catalog.list_products(ListProductsRequest::default()).await?;
    }
    for slow in slow {
        let late = answer(slow).await;
        assert!(late.starts_with("HTTP/1.1 408") && late.contains("DEADLINE_EXCEEDED"), "{late}");
    }
    let parts =
        ["holdfast_rpc_server_duration_seconds_count", "CatalogService/CreateProduct", "DEADLINE_EXCEEDED"];
    assert!(metric(small, &parts).is_some_and(|calls| calls >= 64.0));
    Ok(())
}

#[tokio::test]
async fn a_caller_who_calls_too_often_is_told_when_to_come_back() -> Outcome {
    let stack = own(hasty()).await;
    let limits = [("HOLDFAST_RATE_LIMIT", "1"), ("HOLDFAST_RATE_BURST", "5")];
    let slow = &stack.add(ServiceKind::Catalog, &limits).expect("it starts");
    assert_serves(slow); // and takes one of the five
    let rest = Rest::of(&stack);
    let get = async || {
        let request = http::Request::get("/v1/products").body(Bytes::new()).expect("a request");
        rest.send_to(&slow.http_url(), request).await
    };
    let mut answers = Vec::new();
    // A token a second comes back: whoever goes on calling is refused all the same.
    while answers.len() < 100 && answers.last().is_none_or(|answer: &Answer| answer.status == 200) {
        answers.push(get().await);
    }
    assert!(answers.len() > 4 && answers[..4].iter().all(|answer| answer.status == 200), "{answers:?}");
    let refused = answers.last().expect("there are some");
    refused.refused_because(429, "RESOURCE_EXHAUSTED", "RATE_LIMITED");
    assert_eq!(refused.headers["retry-after"], "1");
    // It is one limit for both ways to call; and none for health, nor for services.
    let mut world = World::of(&stack).with_catalog(slow);
    let mut calls = 0;
    let refused = loop {
        match world.catalog.list_products(ListProductsRequest::default()).await {
            Err(refused) => break refused,
            Ok(_) => calls += 1,
        }
        assert!(calls < 100, "nobody says that it is too often");
    };
    assert_refused(Err::<(), _>(refused.clone()), Code::ResourceExhausted, "RATE_LIMITED");
    assert!(api::retry_delay_of(&refused).is_some_and(|delay| delay <= Duration::from_secs(1)));
    for _ in 0..20 {
        assert_eq!(slow.get("/readyz").expect("it answers").status, 200);
        world.holds.list_overdue_holds(ListOverdueHoldsRequest::default()).await?;
    }
    assert!(metric(slow, &["holdfast_rate_limited_total"]).is_some_and(|calls| calls >= 2.0));
    eventually("a second later there is a call more", PATIENCE, async || {
        let status = get().await.status;
        when(status == 200, status)
    })
    .await;
    Ok(())
}

#[tokio::test]
async fn what_is_refused_over_http_is_counted() {
    let rest = Rest::shared();
    let service = shared().reservation();
    let count = |status: u16| {
        let parts = ["holdfast_http_refused_total", &*format!("status=\"{status}\"")];
        metric(service, &parts).unwrap_or_default()
    };
    let statuses = [400, 404, 405, 413, 415];
    let before = statuses.map(count);
    let rpc =
        ["holdfast_rpc_server_duration_seconds_count", "BookingService/CreateBooking", "INVALID_ARGUMENT"];
    let calls = metric(service, &rpc).unwrap_or_default();
    let post = async |kind: &str, body: String| {
        let request = http::Request::post("/v1/bookings").header("content-type", kind).body(body.into());
        rest.send(request.expect("a request")).await.status.as_u16()
    };
    assert_eq!(post("application/json", "{".to_owned()).await, 400);
    assert_eq!(rest.get("/v1/bookings/").await.status, 404);
    assert_eq!(rest.delete("/v1/bookings").await.status, 405);
    assert_eq!(post("application/json", "x".repeat(70_000)).await, 413);
    assert_eq!(post("text/plain", "{}".to_owned()).await, 415);
    for (status, before) in statuses.into_iter().zip(before) {
        assert!(count(status) >= before + 1.0, "{status}");
    }
    // What came as far as an RPC is among its calls as well.
    assert!(metric(service, &rpc).is_some_and(|now| now >= calls + 3.0), "{calls}");
}

#[tokio::test]
async fn everybody_is_answered_while_all_connections_are_taken_by_who_says_nothing() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(1)).await;
    let service = stack.reservation();
    let address = service.http_url().replace("http://", "");
    let mut taken = Vec::new();
    for _ in 0..1_200 {
        taken.push(TcpStream::connect(&address).await?);
    }
    eventually("customers are let in", PATIENCE, async || {
        let status = service.get("/v1/bookings").map_or(0, |answer| answer.status);
        when(status == 200, status)
    })
    .await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(service.get(path).expect("it answers").status, 200, "{path}");
    }
    drop(taken);
    let rest = Rest::of(&stack);
    let body = serde_json::json!({ "bookingId": fresh_id(), "customerId": customer(), "hold": true,
        "lines": [{ "product": { "productId": meal.product_id, "quantity": 1 } }] });
    eventually("customers are let in again", PATIENCE, async || {
        let status = rest.post("/v1/bookings", &body).await.status;
        when(status == 200, status)
    })
    .await;
    Ok(())
}
