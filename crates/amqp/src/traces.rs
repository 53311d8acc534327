//! Messages in traces: <https://opentelemetry.io/docs/specs/semconv/messaging/rabbitmq/>.

use std::collections::BTreeSet;

use lapin::message::Delivery;
use tracing::{Span, field};

use crate::{Broker, Error, Message, connection::Node, message};

/// The most links that one span gets.
const MAX_LINKS: usize = 64;

/// The span of publishing these messages, linked to those in which they came about; none where that is not traced.
pub(crate) fn publish(messages: &[Message], broker: &Broker) -> Span {
    let Some(first) = messages.first() else { return Span::none() };
    if !telemetry::exports_traces() || !telemetry::propagation::is_traced(&Span::current()) {
        return Span::none();
    }
    let shared = messages.iter().all(|message| message.routing_key == first.routing_key);
    let routing_key = shared.then_some(&*first.routing_key);
    let destination = destination(first.exchange, routing_key);
    let node = broker.node();
    let span = tracing::info_span!(
        "broker.publish",
        otel.name = %format_args!("publish {destination}"),
        otel.kind = "producer",
        messaging.system = "rabbitmq",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = destination,
        messaging.rabbitmq.destination.routing_key = routing_key,
        messaging.batch.message_count = field::Empty,
        messaging.message.body.size = field::Empty,
        server.address = node.as_ref().map(|node| &*node.host),
        server.port = node.as_ref().map(|node| i64::from(node.port)),
        "error.type" = field::Empty,
        otel.status_code = field::Empty,
    );
    // By the conventions one has a size, several have a number.
    match messages {
        [one] => span.record("messaging.message.body.size", number(one.body.len())),
        _ => span.record("messaging.batch.message_count", number(messages.len())),
    };
    let causes: BTreeSet<&str> = messages.iter().filter_map(Message::traceparent).collect();
    for cause in causes.into_iter().take(MAX_LINKS) {
        telemetry::propagation::link(&span, cause);
    }
    span
}

/// Publishing failed.
pub(crate) fn failed(span: &Span, error: &Error) {
    span.record("error.type", error.kind());
    span.record("otel.status_code", "ERROR");
}

/// The span of handling a message, linked to the one that it came about in.
pub(crate) fn process(delivery: &Delivery, node: Option<&Node>, timers: usize) -> Span {
    let span = tracing::info_span!(
        "job.expire",
        holds = number(timers),
        otel.name = field::Empty,
        otel.kind = field::Empty,
        messaging.system = field::Empty,
        messaging.operation.name = field::Empty,
        messaging.operation.type = field::Empty,
        messaging.destination.name = field::Empty,
        messaging.rabbitmq.destination.routing_key = field::Empty,
        messaging.rabbitmq.message.delivery_tag = field::Empty,
        messaging.message.body.size = field::Empty,
        server.address = field::Empty,
        server.port = field::Empty,
        trace_id = field::Empty,
    );
    if telemetry::exports_traces() {
        // Queues are called as what is routed to them: then the convention names them once.
        let routing_key = delivery.routing_key.as_str();
        let destination = destination(delivery.exchange.as_str(), Some(routing_key));
        span.record("otel.name", format!("process {destination}"));
        span.record("otel.kind", "consumer");
        span.record("messaging.system", "rabbitmq");
        span.record("messaging.operation.name", "process");
        span.record("messaging.operation.type", "process");
        span.record("messaging.destination.name", destination);
        span.record("messaging.rabbitmq.destination.routing_key", routing_key);
        span.record("messaging.rabbitmq.message.delivery_tag", delivery.delivery_tag.cast_signed());
        span.record("messaging.message.body.size", number(delivery.data.len()));
        if let Some(node) = node {
            span.record("server.address", &*node.host);
            span.record("server.port", i64::from(node.port));
        }
        if let Some(traceparent) = message::traceparent(&delivery.properties) {
            telemetry::propagation::link(&span, traceparent);
        }
        telemetry::propagation::record_trace_id(&span);
    }
    span
}

/// As traces take numbers: others than `i64` would be exported as text.
fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Where messages go, or came: the exchange and what they are routed by, if that is one.
fn destination(exchange: &str, routing_key: Option<&str>) -> String {
    let parts = [Some(exchange), routing_key].into_iter().flatten().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_what_is_known_of_exchange_and_routing_key() {
        assert_eq!(destination("holdfast.timers", Some("holds.due")), "holdfast.timers:holds.due");
        assert_eq!(destination("holdfast.timers", None), "holdfast.timers");
        assert_eq!(destination("", Some("holds.due")), "holds.due");
    }
}
