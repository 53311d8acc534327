//! The span and the metrics of a call: rate, errors and duration by method and code.

use std::{
    collections::HashMap,
    pin::Pin,
    slice,
    sync::LazyLock,
    task::{Context, Poll, ready},
    time::Instant,
};

use ::http::HeaderMap;
use axum::{
    body::{Body, Bytes, HttpBody},
    response::Response,
};
use http_body::{Frame, SizeHint};
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, UpDownCounter},
};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::Code;
use tracing::{Span, field};

use crate::admission::Admitted;

struct Instruments {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| Instruments {
    duration: telemetry::duration_histogram(
        "holdfast_rpc_server_duration_seconds",
        "Time from a call's arrival to the end of its response",
    ),
    active: telemetry::meter()
        .i64_up_down_counter("holdfast_rpc_server_active")
        .with_description("Calls being handled")
        .build(),
});

/// The label of each method by its path. Anything else shares one label: callers must not be able to make new ones.
static METHODS: LazyLock<HashMap<String, KeyValue>> = LazyLock::new(|| {
    [proto::DESCRIPTORS, tonic_health::pb::FILE_DESCRIPTOR_SET]
        .into_iter()
        .map(|set| FileDescriptorSet::decode(set).expect("what protox wrote is a descriptor set"))
        .flat_map(|set| set.file)
        .flat_map(|file| {
            let package = file.package().to_owned();
            file.service.into_iter().map(move |service| (package.clone(), service))
        })
        .flat_map(|(package, service)| {
            let name = format!("{package}.{}", service.name());
            service.method.into_iter().map(move |method| format!("{name}/{}", method.name()))
        })
        .map(|method| (format!("/{method}"), KeyValue::new("rpc_method", method)))
        .collect()
});

/// One call, from its arrival to the end of its response; a call that is given up counts as CANCELLED.
pub(crate) struct Call {
    method: KeyValue,
    span: Span,
    start: Instant,
    code: Option<Code>,
    admitted: Option<Admitted>,
}

impl Call {
    /// Begins a span within the caller's, if it sent one.
    pub(crate) fn begin(path: &str, headers: &HeaderMap) -> Self {
        let method = METHODS.get(path).cloned().unwrap_or_else(|| KeyValue::new("rpc_method", "other"));
        INSTRUMENTS.active.add(1, slice::from_ref(&method));
        let span = tracing::info_span!(
            "rpc.server",
            rpc.method = %method.value,
            rpc.code = field::Empty,
            trace_id = field::Empty,
            otel.name = field::Empty,
            otel.kind = field::Empty,
            otel.status_code = field::Empty,
        );
        if telemetry::exports_traces() {
            trace(&span, &method, headers);
        }
        Self { method, span, start: Instant::now(), code: None, admitted: None }
    }

    /// Keeps the leave to handle it until its end.
    pub(crate) fn admitted(&mut self, admitted: Admitted) {
        self.admitted = Some(admitted);
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Watches the response to its end, where its code stands.
    pub(crate) fn observe(mut self, response: Response) -> Response {
        self.code = code(response.headers());
        if self.code.is_some() {
            return response; // an error: headers are all there is
        }
        response.map(|body| Body::new(Observed { body, call: Some(self) }))
    }
}

/// Gives the span what traces need, before it starts: left empty without them, so that log lines stay short.
fn trace(span: &Span, method: &KeyValue, headers: &HeaderMap) {
    span.record("otel.name", field::display(&method.value));
    span.record("otel.kind", "server");
    telemetry::propagation::set_parent(span, headers);
    span.record("trace_id", telemetry::propagation::trace_id(span));
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = api::code_name(self.code.unwrap_or(Code::Cancelled));
        // No line of the log comes behind it: only traces show it.
        if telemetry::exports_traces() {
            self.span.record("rpc.code", code);
            if matches!(self.code, Some(Code::Unknown | Code::Internal | Code::DataLoss)) {
                self.span.record("otel.status_code", "ERROR");
            }
        }
        INSTRUMENTS.active.add(-1, slice::from_ref(&self.method));
        let labels = [self.method.clone(), KeyValue::new("code", code)];
        INSTRUMENTS.duration.record(self.start.elapsed().as_secs_f64(), &labels);
    }
}

/// A response's body, in whose trailers its code stands.
struct Observed {
    body: Body,
    call: Option<Call>,
}

impl HttpBody for Observed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let trailers = frame.as_ref().and_then(|frame| frame.as_ref().ok()?.trailers_ref());
        if let Some(code) = trailers.and_then(code)
            && let Some(mut call) = self.call.take()
        {
            call.code = Some(code);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The code of a call, if these headers or trailers say it.
fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|value| Code::from_bytes(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_of_the_api_have_labels_and_nothing_else_makes_one() {
        let label = &METHODS["/holdfast.catalog.v1.CatalogService/GetProduct"];
        assert_eq!(label.value.as_str(), "holdfast.catalog.v1.CatalogService/GetProduct");
        assert!(METHODS.contains_key("/grpc.health.v1.Health/Check"));
        assert_eq!(Call::begin("/no.Such/Method", &HeaderMap::new()).method.value.as_str(), "other");
    }

    #[test]
    fn an_error_is_known_by_its_headers() {
        let call = Call::begin("/grpc.health.v1.Health/Check", &HeaderMap::new());
        let response = call.observe(tonic::Status::not_found("none").into_http());
        assert_eq!(code(response.headers()), Some(Code::NotFound));
    }
}
