//! gRPC-Web: gRPC as a browser sends it, over HTTP/1.1, on the HTTP port.

use http::Request;
use prost::{Message as _, bytes::Bytes};
use proto::reservation::{CreateBookingRequest, CreateBookingResponse, GetBookingRequest};
use std::time::Duration;
use system_tests::{Answer, Outcome, Rest, Stock, World, customer, fresh_id, units};

const CREATE: &str = "/holdfast.reservation.v1.BookingService/CreateBooking";
const GET: &str = "/holdfast.reservation.v1.BookingService/GetBooking";

/// A frame: its kind, its length, its content.
fn frame(content: &[u8]) -> Bytes {
    let length = u32::try_from(content.len()).expect("it is short").to_be_bytes();
    [&[0][..], &length, content].concat().into()
}

/// The frames of an answer: their kinds and contents.
fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(5) {
        let length = u32::from_be_bytes(head[1..].try_into().expect("four bytes"));
        let (content, rest) = rest.split_at(usize::try_from(length).expect("it fits"));
        frames.push((head[0], content));
        bytes = rest;
    }
    frames
}

async fn call(rest: &Rest, path: &str, message: &[u8]) -> Answer {
    let request = Request::post(path)
        .header("content-type", "application/grpc-web+proto")
        .header("x-grpc-web", "1")
        .header("origin", "http://localhost:5173")
        .body(frame(message));
    let answer = rest.send(request.expect("a request")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/grpc-web+proto");
    assert_eq!(answer.headers["access-control-allow-origin"], "http://localhost:5173");
    answer
}

#[tokio::test]
async fn a_browser_makes_a_booking_in_grpc_web() -> Outcome {
    let (world, rest) = (World::shared(), Rest::shared());
    let meal = world.product(10, Duration::from_mins(1)).await;
    let request = CreateBookingRequest {
        booking_id: fresh_id(),
        customer_id: customer(),
        lines: vec![units(&meal, 4)],
        hold: true,
        hold_ttl: None,
    };
    let answer = call(&rest, CREATE, &request.encode_to_vec()).await;
    let frames = frames(&answer.bytes);
    let [(0, message), (0x80, trailers)] = frames[..] else { panic!("{frames:?}") };
    let booking = CreateBookingResponse::decode(message).expect("a response").booking.expect("a booking");
    assert_eq!(booking.booking_id, request.booking_id);
    let trailers = String::from_utf8_lossy(trailers).to_ascii_lowercase();
    assert!(trailers.replace(' ', "").contains("grpc-status:0"), "{trailers}");
    assert_eq!(world.get(&request.booking_id).await?.lines, booking.lines);
    assert_eq!(world.stock(&meal).await, Stock::new(10, 4, 0));
    Ok(())
}

#[tokio::test]
async fn a_browser_reads_why_it_was_refused_in_grpc_web() {
    let rest = Rest::shared();
    let request = GetBookingRequest { booking_id: fresh_id() };
    let answer = call(&rest, GET, &request.encode_to_vec()).await;
    let exposed = answer.headers["access-control-expose-headers"].to_str().expect("a text").to_owned();
    assert_eq!(answer.headers["grpc-status"], "5");
    assert!(
        answer.headers.contains_key("grpc-status-details-bin") && exposed.contains("grpc-status-details-bin")
    );
}
