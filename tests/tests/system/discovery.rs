//! What a newcomer finds out with other people's tools: grpcurl 1.8.6 (reflection v1alpha) and buf curl (v1).

use stack::Service;
use std::time::Duration;
use system_tests::{Outcome, Said, Stock, World, customer, fresh_id, program, shared};

/// The address of a service without its scheme, as grpcurl wants it.
fn address(service: &Service) -> String {
    service.url().replace("http://", "")
}

#[track_caller]
fn assert_said(said: &Said, wanted: &[&str]) {
    assert!(said.success, "{said:?}");
    for wanted in wanted {
        assert!(said.output.contains(wanted), "{wanted:?} is missing: {said:?}");
    }
}

#[test]
fn grpcurl_lists_and_describes_the_services() {
    for (service, names, message) in [
        (
            shared().reservation(),
            [
                "holdfast.reservation.v1.BookingService",
                "holdfast.reservation.v1.SettlementService",
                "holdfast.reservation.v1.AuditService",
            ],
            "holdfast.reservation.v1.Booking",
        ),
        (
            shared().catalog(),
            [
                "holdfast.catalog.v1.CatalogService",
                "holdfast.catalog.v1.HoldService",
                "holdfast.catalog.v1.AuditService",
            ],
            "holdfast.catalog.v1.Product",
        ),
    ] {
        let address = address(service);
        let list = program("grpcurl", &["-plaintext", &address, "list"]);
        assert_said(&list, &names);
        assert_said(&list, &["grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"]);
        for name in names {
            let describe = program("grpcurl", &["-plaintext", &address, "describe", name]);
            assert_said(&describe, &["service ", "rpc "]);
        }
        let all = program("grpcurl", &["-plaintext", &address, "describe"]);
        assert_said(&all, &names);
        let describe = program("grpcurl", &["-plaintext", &address, "describe", message]);
        assert_said(&describe, &["message ", "string "]);
    }
}

#[test]
fn buf_curl_lists_the_services_and_their_methods() {
    for (service, method) in [
        (shared().reservation(), "holdfast.reservation.v1.BookingService"),
        (shared().catalog(), "holdfast.catalog.v1.CatalogService"),
    ] {
        let (url, curl) = (service.url(), ["curl", "--protocol", "grpc", "--http2-prior-knowledge"]);
        let services = program("buf", &[&curl[..], &["--list-services", &url]].concat());
        assert_said(&services, &[method]);
        let methods = program("buf", &[&curl[..], &["--list-methods", &url]].concat());
        assert_said(&methods, &[method, "/"]);
    }
}

#[tokio::test]
async fn a_booking_is_made_and_paid_with_grpcurl_and_read_with_buf_curl() -> Outcome {
    let world = World::shared();
    let meal = world.product(100, Duration::from_mins(1)).await;
    let address = address(shared().reservation());
    let id = fresh_id();
    let line = format!(r#"{{"product": {{"productId": "{}", "quantity": "5"}}}}"#, meal.product_id);
    let create = format!(
        r#"{{"bookingId": "{id}", "customerId": "{}", "lines": [{line}], "hold": true, "holdTtl": "30s"}}"#,
        customer()
    );
    let call = |method: &str, body: &str| {
        let method = format!("holdfast.reservation.v1.BookingService/{method}");
        program("grpcurl", &["-plaintext", "-d", body, &address, &method])
    };
    assert_said(&call("CreateBooking", &create), &["BOOKING_STATE_HELD", "expireTime", "6250"]);
    assert_eq!(world.stock(&meal).await, Stock::new(100, 5, 0));
    let pay = format!(r#"{{"bookingId": "{id}", "success": true}}"#);
    assert_said(&call("PayBooking", &pay), &["BOOKING_STATE_CONFIRMED"]);

    let method =
        format!("{}/holdfast.reservation.v1.BookingService/GetBooking", shared().reservation().url());
    let body = format!(r#"{{"bookingId": "{id}"}}"#);
    let got =
        program("buf", &["curl", "--protocol", "grpc", "--http2-prior-knowledge", "-d", &body, &method]);
    assert_said(&got, &["BOOKING_STATE_CONFIRMED", &id]);
    world.await_stock(&meal, Stock::new(100, 0, 5)).await;
    Ok(())
}

#[test]
fn grpcurl_shows_the_reason_of_a_refusal() {
    let address = address(shared().reservation());
    let id = fresh_id();
    let body = format!(r#"{{"bookingId": "{id}"}}"#);
    let method = "holdfast.reservation.v1.BookingService/GetBooking";
    let said = program("grpcurl", &["-plaintext", "-d", &body, &address, method]);
    assert!(!said.success, "{said:?}");
    for wanted in ["NotFound", "BOOKING_NOT_FOUND", "holdfast", &id] {
        assert!(said.errors.contains(wanted), "{wanted:?} is missing: {said:?}");
    }
}
