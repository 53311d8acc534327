//! Trace context across process borders: W3C `traceparent` in gRPC metadata, HTTP and AMQP headers.
//!
//! Without the export of traces there is no context to carry, and everything here does nothing.

use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context, global,
    propagation::{Extractor, Injector, TextMapPropagator as _},
    trace::{SpanContext, TraceContextExt as _, TraceFlags, TraceState},
};
use opentelemetry_sdk::{
    propagation::TraceContextPropagator,
    trace::{IdGenerator as _, RandomIdGenerator},
};
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::exports_traces;

const TRACEPARENT: &str = "traceparent";

/// Makes W3C trace context the way context travels.
pub(crate) fn install() {
    global::set_text_map_propagator(TraceContextPropagator::new());
}

/// The current span as a W3C `traceparent`, to be stored or sent; `None` when the span is not traced.
#[must_use]
pub fn current_traceparent() -> Option<String> {
    let mut fields = HashMap::new();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut fields);
    fields.remove(TRACEPARENT)
}

/// The id of the trace that `span` belongs to, to be logged; `None` when it is not traced.
#[must_use]
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let context = context.span().span_context().clone();
    context.is_valid().then(|| context.trace_id().to_string())
}

/// Records the id of its trace in a span that begins one, in the field `trace_id`: so log lines within it have it.
pub fn record_trace_id(span: &Span) {
    span.record("trace_id", trace_id(span));
}

/// Whether `span` is part of a trace, exported or not.
#[must_use]
pub fn is_traced(span: &Span) -> bool {
    span.context().span().span_context().is_valid()
}

/// Whether `span` is exported, with the trace that it is part of.
#[must_use]
pub fn is_sampled(span: &Span) -> bool {
    span.context().span().span_context().is_sampled()
}

/// Links two spans to each other: neither is part of the other.
pub fn link_both(one: &Span, other: &Span) {
    one.add_link(other.context().span().span_context().clone());
    other.add_link(one.context().span().span_context().clone());
}

/// Links `span` to the one that `traceparent` names: it follows from it, but is no part of it. A malformed one is ignored.
pub fn link(span: &Span, traceparent: &str) {
    let fields = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &fields);
    span.add_link(context.span().span_context().clone());
}

/// Makes `span` a child of the caller's span, if the headers of its request name one. Before the span is entered.
pub fn set_parent(span: &Span, headers: &HeaderMap) {
    let context = global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Headers(headers))
    });
    if context.span().span_context().is_valid() {
        // Refused where spans are not exported or this one is filtered out: then there is nothing to join either.
        let _ = span.set_parent(context);
    }
}

/// Writes the current span into the metadata of an outgoing call.
pub fn inject(metadata: &mut MetadataMap) {
    inject_headers(&Span::current(), metadata.as_mut());
}

/// Writes `span` into the headers of an outgoing request.
pub fn inject_headers(span: &Span, headers: &mut HeaderMap) {
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&span.context(), &mut HeadersMut(headers));
    });
}

/// Asks who answers a call, of which no trace is wanted, to begin none either.
pub fn decline(metadata: &mut MetadataMap) {
    if !exports_traces() {
        return;
    }
    let ids = RandomIdGenerator::default();
    let (trace_id, span_id) = (ids.new_trace_id(), ids.new_span_id());
    let state = TraceState::default();
    let context = SpanContext::new(trace_id, span_id, TraceFlags::NOT_SAMPLED, false, state);
    let context = Context::new().with_remote_span_context(context);
    TraceContextPropagator::new().inject_context(&context, &mut HeadersMut(metadata.as_mut()));
}

struct Headers<'a>(&'a HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct HeadersMut<'a>(&'a mut HeaderMap);

impl Injector for HeadersMut<'_> {
    fn set(&mut self, key: &str, value: String) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(key), HeaderValue::try_from(value)) {
            self.0.insert(name, value);
        }
    }
}
