//! Who is let in over HTTP, and for how long: as over gRPC, before anything of a body is read.

use std::time::Duration;

use stack::{Service, ServiceKind};
use system_tests::{
    Outcome, PATIENCE, Rest, World, customer, eventually, fresh_id, hasty, own, shared, when,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

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

#[tokio::test]
async fn a_call_is_let_in_before_its_body_is_read_and_its_time_runs_from_then() -> Outcome {
    let stack = own(hasty()).await;
    let small = &stack.add(ServiceKind::Catalog, &[("HOLDFAST_MAX_CALLS", "1")]).expect("it starts");
    let slow = eventually("others are sent away", PATIENCE, async || {
        // It has the only place as long as its body is awaited.
        let slow = begin(small, "grpc-timeout: 5S\r\n").await;
        let mut statuses = (0..20).map(|_| small.get("/v1/products").expect("it answers").status);
        if statuses.any(|status| status == 429) { Ok(slow) } else { Err("they are served") }
    })
    .await;
    // Nothing of this one's body was sent, nor will be.
    let refused = answer(begin(small, "expect: 100-continue\r\n").await).await;
    assert!(refused.starts_with("HTTP/1.1 429") && refused.contains("OVERLOADED"), "{refused}");
    // Who asks for health is answered meanwhile.
    assert_eq!(small.get("/livez").expect("it answers").status, 200);

    let late = answer(slow).await;
    assert!(late.starts_with("HTTP/1.1 408") && late.contains("DEADLINE_EXCEEDED"), "{late}");
    assert_eq!(small.get("/v1/products").expect("it answers").status, 200);
    for code in ["DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"] {
        let parts = ["holdfast_rpc_server_duration_seconds_count", "CatalogService/CreateProduct", code];
        assert!(metric(small, &parts).is_some_and(|calls| calls >= 1.0), "{code}");
    }
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
async fn health_and_metrics_are_answered_while_customers_take_all_connections() -> Outcome {
    let stack = own(hasty()).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(1)).await;
    let service = stack.reservation();
    let address = service.http_url().replace("http://", "");
    let mut taken = Vec::new();
    for _ in 0..1_200 {
        taken.push(TcpStream::connect(&address).await?);
    }
    eventually("customers are sent away", PATIENCE, async || {
        let status = service.get("/v1/bookings").map_or(0, |answer| answer.status);
        when(status == 429, status)
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
