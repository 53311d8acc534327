//! Strangers who send to the payment provider's webhook, from an address of their own: the provider's events come through.

use std::{net::SocketAddr, time::Duration};

use serde_json::json;
use stack::Service;
use system_tests::{
    Outcome, PATIENCE, PaymentProvider, Rest, World, eventually, hasty, now, own, state_of, units, when,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

/// Two addresses of this machine: all of 127/8 are.
const PROVIDER: &str = "127.0.0.1:0";
const STRANGER: &str = "127.0.0.9:0";

/// Begins to send an event of so many bytes; its body is still to come.
async fn begin(service: &Service, from: &str, signature: &str, length: usize) -> TcpStream {
    let to: SocketAddr = service.http_url().replace("http://", "").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(from.parse().expect("an address")).expect("it is this machine's");
    let mut stream = socket.connect(to).await.expect("it listens");
    let head = format!(
        "POST /v1/payments/webhook HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\nwebhook-signature: {signature}\r\n\
         content-length: {length}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("it is taken");
    stream
}

/// Waits until it is there, and its body is awaited.
async fn await_welcome(stream: &mut TcpStream) {
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(stream.read_u8().await.expect("an answer"));
    }
    assert_eq!(String::from_utf8_lossy(&said), "HTTP/1.1 100 Continue\r\n\r\n");
}

/// All that is answered.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("an answer");
    String::from_utf8_lossy(&text).into_owned()
}

/// What looks like a signature of now.
fn forged() -> String {
    format!("t={},v1={}", now(), "0".repeat(64))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_from_very_many_addresses_put_out_no_event_of_the_providers() -> Outcome {
    assert_comes_through(|n| format!("127.0.1.{n}:0"), 1).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_uploads_from_one_address_put_out_one_another() -> Outcome {
    // There is room for 2 MiB.
    assert_comes_through(|_| STRANGER.to_owned(), 40_000).await
}

/// An event of the provider's comes through while strangers send so many bytes each, from these addresses, and stop.
async fn assert_comes_through(address: impl Fn(usize) -> String, bytes: usize) -> Outcome {
    const STRANGERS: usize = 100;
    let provider = PaymentProvider::default();
    let stack = own(provider.known_to(hasty())).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_mins(1)).await;
    let id = world.hold(&[units(&meal, 1)]).await?.booking_id;
    let event = json!({ "id": "evt_1", "type": "payment.succeeded", "data": { "booking_id": id, "payment_id": "pay_1" } });
    let body = event.to_string() + &" ".repeat(STRANGERS);

    // It comes slowly: a byte for each of the strangers.
    let (start, rest) = body.split_at(body.len() - STRANGERS);
    let service = stack.reservation();
    let mut honest = begin(service, PROVIDER, &provider.sign(now(), &body), body.len()).await;
    await_welcome(&mut honest).await;
    honest.write_all(start.as_bytes()).await?;
    let mut strangers = Vec::new();
    for (n, byte) in rest.as_bytes().chunks(1).take(STRANGERS - 1).enumerate() {
        let mut stranger = begin(service, &address(n + 1), &forged(), 60_000).await;
        await_welcome(&mut stranger).await;
        stranger.write_all(&vec![b' '; bytes]).await?;
        strangers.push(stranger);
        honest.write_all(byte).await?;
    }
    if bytes * STRANGERS > 2 << 20 {
        let first = answer(&mut strangers[0]).await;
        assert!(first.starts_with("HTTP/1.1 429"), "the oldest of the strangers is put out: {first}");
    }
    honest.write_all(b" ").await?;
    let told = answer(&mut honest).await;
    assert!(told.starts_with("HTTP/1.1 200") && told.contains("applied"), "{told}");
    assert_eq!(state_of(&world.get(&id).await?), "CONFIRMED");
    stack.assert_sound();
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_refused_too_often_is_refused_before_anything_is_read() -> Outcome {
    let provider = PaymentProvider::default();
    let stack = own(provider.known_to(hasty()).env("HOLDFAST_WEBHOOK_RATE_LIMIT", "1")).await;
    let (service, rest) = (stack.reservation(), Rest::of(&stack));
    eventually("a stranger has sent too much", PATIENCE, async || {
        // It never comes to its body: a signature of another time is no signature.
        let mut stranger = begin(service, STRANGER, "t=1,v1=00", 1_000).await;
        let told = answer(&mut stranger).await;
        if !told.starts_with("HTTP/1.1 429") {
            assert!(told.starts_with("HTTP/1.1 401"), "{told}");
        }
        when(told.contains("RATE_LIMITED") && told.contains("retry-after"), told)
    })
    .await;
    for _ in 0..20 {
        assert_eq!(provider.send(&rest, "customer.created", "", "").await.outcome(), "ignored");
    }
    Ok(())
}
