//! Traces: the whole life of a hold, from the customer's call to its expiry, as a collector sees it.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use proto::{
    catalog::ListProductsRequest,
    reservation::{BookingState, CreateBookingRequest},
};
use stack::Options;
use system_tests::{
    Collector, Outcome, PATIENCE, Traced, World, customer, eventually, fresh_id, hasty, own, units,
};
use tonic::Request;

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

const CREATE: &str = "holdfast.reservation.v1.BookingService/CreateBooking";
const PLACE: &str = "holdfast.catalog.v1.HoldService/PlaceHolds";
const RESOLVE: &str = "holdfast.reservation.v1.SettlementService/ResolveHolds";
const OVERDUE: &str = "holdfast.catalog.v1.HoldService/ListOverdueHolds";
const SETTLE: &str = "holdfast.catalog.v1.HoldService/SettleHolds";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// The one span that is like this; or what is missing.
fn one<'a>(spans: &'a [Traced], what: &str, is: impl Fn(&Traced) -> bool) -> Result<&'a Traced, String> {
    spans.iter().find(|traced| is(traced)).ok_or_else(|| what.to_owned())
}

/// The child of `parent` that is called this.
fn child<'a>(
    spans: &'a [Traced],
    parent: &Traced,
    (service, kind, name): (&str, SpanKind, &str),
) -> Result<&'a Traced, String> {
    let found = one(spans, &format!("{name} of {service}, under {}", parent.span.name), |traced| {
        traced.is(service, kind, name) && traced.is_child_of(parent)
    })?;
    assert!(found.is_fine(), "{found:?}");
    Ok(found)
}

/// A call to another service: the span of who calls, and within it that of who answers.
fn call<'a>(
    spans: &'a [Traced],
    parent: &Traced,
    (from, to): (&str, &str),
    method: &str,
) -> Result<&'a Traced, String> {
    let client = child(spans, parent, (from, SpanKind::Client, method))?;
    assert_eq!(client.attribute("server.address").as_deref(), Some("127.0.0.1"), "{client:?}");
    let server = child(spans, client, (to, SpanKind::Server, method))?;
    for side in [client, server] {
        assert_eq!(side.attribute("rpc.system.name").as_deref(), Some("grpc"));
        assert_eq!(side.attribute("rpc.method").as_deref(), Some(method));
        assert_eq!(side.attribute("rpc.response.status_code").as_deref(), Some("OK"));
    }
    Ok(server)
}

/// A unit of work in the database of its service.
fn work<'a>(spans: &'a [Traced], parent: &Traced, service: &str, name: &str) -> Result<&'a Traced, String> {
    let found = child(spans, parent, (service, SpanKind::Client, &format!("{name} {service}")))?;
    assert_eq!(found.attribute("db.system.name").as_deref(), Some("postgresql"));
    assert_eq!(found.attribute("db.namespace").as_deref(), Some(service));
    assert_eq!(found.attribute("db.operation.name").as_deref(), Some(name));
    assert_eq!(found.attribute("server.address").as_deref(), Some("127.0.0.1"));
    assert!(found.number("server.port").is_some(), "{found:?}");
    Ok(found)
}

/// The span of a message of a timer: of which kind, and to or from where.
fn is_of_timer(traced: &Traced, service: &str, kind: SpanKind, operation: &str) -> bool {
    let routed = traced.attribute("messaging.rabbitmq.destination.routing_key").unwrap_or_default();
    traced.is(service, kind, &format!("{operation} holdfast.timers:{routed}"))
}

fn assert_message(traced: &Traced, operation: &str) {
    let text = |name: &str| traced.attribute(name).unwrap_or_default();
    assert_eq!(text("messaging.system"), "rabbitmq", "{traced:?}");
    assert_eq!(text("messaging.operation.type"), operation);
    let routed = text("messaging.rabbitmq.destination.routing_key");
    assert!(routed.starts_with("holds."), "{traced:?}");
    assert_eq!(text("messaging.destination.name"), format!("holdfast.timers:{routed}"));
    assert_eq!(text("server.address"), "127.0.0.1");
    assert!(traced.number("server.port").is_some(), "{traced:?}");
    // One message has a size, several have a number.
    let how_much =
        ["messaging.message.body.size", "messaging.batch.message_count"].map(|name| traced.number(name));
    assert_eq!(how_much.iter().flatten().count(), 1, "{traced:?}");
}

/// The tree of a hold: taken in the catalog, recorded with its promises, which the last span did.
fn hold(spans: &[Traced]) -> Result<&Traced, String> {
    let create = one(spans, "the customer's call", |traced| {
        traced.is("reservation", SpanKind::Server, CREATE)
            && hex(&traced.span.trace_id) == TRACE_ID
            && hex(&traced.span.parent_span_id) == CALLER
    })?;
    let batch = child(spans, create, ("reservation", SpanKind::Internal, "batch create"))?;
    let place = call(spans, batch, ("reservation", "catalog"), PLACE)?;
    let placing = child(spans, place, ("catalog", SpanKind::Internal, "batch place"))?;
    work(spans, placing, "catalog", "Place")?;
    work(spans, batch, "reservation", "Insert")
}

/// What carried the promise to RabbitMQ.
fn relay(spans: &[Traced], promised: &Traced) -> Result<(), String> {
    let relay = one(spans, "the relay of the timer", |traced| {
        traced.service == "reservation"
            && traced.span.name == "job.relay"
            && traced.attribute("kind").as_deref() == Some("timer")
            && traced.follows(promised)
    })?;
    let publish = one(spans, "the timer's message", |traced| {
        is_of_timer(traced, "reservation", SpanKind::Producer, "publish") && traced.is_child_of(relay)
    })?;
    assert_message(publish, "send");
    Ok(())
}

/// What brought the hold back, in a trace of its own. A question that came a moment too early, or was not answered, is asked
/// again: one of them has it all.
fn expiry(spans: &[Traced], promised: &Traced) -> Result<(), String> {
    let ends = |traced: &&Traced| {
        is_of_timer(traced, "expirer", SpanKind::Consumer, "process") && traced.follows(promised)
    };
    let mut outcome = Err("the timer's end".to_owned());
    for process in spans.iter().filter(ends) {
        assert_message(process, "process");
        assert!(process.number("messaging.rabbitmq.message.delivery_tag").is_some(), "{process:?}");
        assert_ne!(process.span.trace_id, promised.span.trace_id);
        let is_batch = |traced: &&Traced| {
            traced.is("expirer", SpanKind::Internal, "batch settle") && traced.is_child_of(process)
        };
        for batch in spans.iter().filter(is_batch) {
            outcome = settlement(spans, batch);
            if outcome.is_ok() {
                return outcome;
            }
        }
    }
    outcome
}

/// A verdict, and what came of it in the catalog.
fn settlement(spans: &[Traced], batch: &Traced) -> Result<(), String> {
    let settle = child(spans, batch, ("expirer", SpanKind::Internal, "job.settle"))?;
    let resolved = call(spans, settle, ("expirer", "reservation"), RESOLVE)?;
    work(spans, resolved, "reservation", "Change")?;
    let settled = call(spans, settle, ("expirer", "catalog"), SETTLE)?;
    work(spans, settled, "catalog", "Settle")?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_trace_shows_a_hold_and_the_one_of_its_expiry_leads_back_to_it() -> Outcome {
    let (collector, url) = Collector::start().await;
    // The sweep comes too late to be first.
    let options = Options::default().env("HOLDFAST_REVIEW_GRACE_MS", "60000");
    let stack = own(options.env("HOLDFAST_OTLP_ENDPOINT", &url)).await;
    let world = World::of(&stack);
    let meal = world.product(10, Duration::from_millis(900)).await;
    let booking_id = fresh_id();
    let mut request = Request::new(CreateBookingRequest {
        booking_id: booking_id.clone(),
        customer_id: customer(),
        lines: vec![units(&meal, 1)],
        hold: true,
        hold_ttl: None,
    });
    let context = format!("00-{TRACE_ID}-{CALLER}-01").parse().expect("it is ASCII");
    request.metadata_mut().insert("traceparent", context);
    world.bookings.clone().create_booking(request).await?;
    world.await_state(&booking_id, BookingState::Expired).await;

    let spans = eventually("the collector has all of it", PATIENCE, async || {
        let spans = collector.spans();
        let all = || {
            let promised = hold(&spans)?;
            relay(&spans, promised)?;
            expiry(&spans, promised)
        };
        match all() {
            Ok(()) => Ok(spans),
            Err(missing) => {
                let has: Vec<_> = spans.iter().map(|traced| (&traced.service, &traced.span.name)).collect();
                Err(format!("without {missing}; there are {has:?}"))
            }
        }
    })
    .await;
    // Who looks at the clock or for overdue holds of its own accord, and finds nothing, begins no trace.
    let begun = spans.iter().filter(|traced| traced.span.parent_span_id.is_empty());
    let idle: Vec<_> = begun
        .filter(|traced| {
            traced.span.kind == SpanKind::Client as i32 || [RESOLVE, OVERDUE].contains(&&*traced.span.name)
        })
        .collect();
    assert!(idle.is_empty(), "{idle:?}");
    // Whose booking it is, nobody learns from traces.
    assert!(!format!("{spans:?}").contains("customer-"));
    stack.assert_sound();
    Ok(())
}

/// What the caller, or the ratio, does not want is not exported.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_is_sampled_as_its_beginning_was() -> Outcome {
    let (collector, url) = Collector::start().await;
    let env = [("HOLDFAST_OTLP_ENDPOINT", url.as_str()), ("HOLDFAST_TRACE_RATIO", "0")];
    let stack = own(env.into_iter().fold(hasty(), |options, (name, value)| options.env(name, value))).await;
    let world = World::of(&stack);
    for sampled in ["00", "01"] {
        let mut request = Request::new(ListProductsRequest::default());
        let context = format!("00-{TRACE_ID}-{CALLER}-{sampled}").parse().expect("it is ASCII");
        request.metadata_mut().insert("traceparent", context);
        world.catalog.clone().list_products(request).await?;
    }
    world.catalog.clone().list_products(ListProductsRequest::default()).await?;
    // What a process has not sent yet it sends as it ends.
    tokio::task::block_in_place(|| stack.catalog().stop());
    let spans = collector.spans();
    let exported: Vec<(String, &str)> =
        spans.iter().map(|traced| (hex(&traced.span.trace_id), &*traced.span.name)).collect();
    // The call, and what it asked the database.
    assert!(exported.len() == 2 && exported.iter().all(|(id, _)| id == TRACE_ID), "{exported:?}");
    Ok(())
}
