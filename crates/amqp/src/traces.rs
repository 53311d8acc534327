//! Messages in traces: <https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/>.

use std::collections::BTreeSet;

use tracing::{Span, field};

use crate::{Delivery, Error, Message, topology::DUE};

/// The most links that one span gets.
const MAX_LINKS: usize = 64;

/// The span of publishing these messages, linked to those in which they came about; none where that is not traced.
pub(crate) fn publish(messages: &[Message]) -> Span {
    let Some(first) = messages.first() else { return Span::none() };
    if !telemetry::exports_traces() || !telemetry::propagation::is_traced(&Span::current()) {
        return Span::none();
    }
    let span = tracing::info_span!(
        "broker.publish",
        otel.name = %format_args!("publish {}", first.exchange),
        otel.kind = "producer",
        messaging.system = "rabbitmq",
        messaging.operation.name = "publish",
        messaging.operation.type = "send",
        messaging.destination.name = first.exchange,
        messaging.batch.message_count = field::Empty,
        messaging.message.body.size = field::Empty,
        "error.type" = field::Empty,
        otel.status_code = field::Empty,
    );
    // By the conventions one has a size, several have a number.
    match messages {
        [one] => span.record("messaging.message.body.size", one.body.len()),
        _ => span.record("messaging.batch.message_count", messages.len()),
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

/// The span of handling a message of [`DUE`], linked to the one that it came about in.
pub(crate) fn process(delivery: &Delivery, timers: usize) -> Span {
    let span = tracing::info_span!(
        "job.expire",
        holds = timers,
        otel.name = field::Empty,
        otel.kind = field::Empty,
        messaging.system = field::Empty,
        messaging.operation.name = field::Empty,
        messaging.operation.type = field::Empty,
        messaging.destination.name = field::Empty,
        messaging.message.body.size = field::Empty,
        trace_id = field::Empty,
    );
    if telemetry::exports_traces() {
        span.record("otel.name", format!("process {DUE}"));
        span.record("otel.kind", "consumer");
        span.record("messaging.system", "rabbitmq");
        span.record("messaging.operation.name", "process");
        span.record("messaging.operation.type", "process");
        span.record("messaging.destination.name", DUE);
        span.record("messaging.message.body.size", delivery.size());
        if let Some(traceparent) = delivery.traceparent() {
            telemetry::propagation::link(&span, traceparent);
        }
        telemetry::propagation::record_trace_id(&span);
    }
    span
}
