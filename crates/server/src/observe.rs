//! The span and the metrics of a call: rate, errors and duration by method and code.

use std::{slice, sync::LazyLock, time::Instant};

use ::http::HeaderMap;
use opentelemetry::{
    KeyValue,
    metrics::{Histogram, UpDownCounter},
};
use tonic::{Code, body::Body};
use tracing::{Span, field};

use crate::{
    admission::Admitted,
    guard::Response,
    methods,
    responses::Sending,
    trailers::{self, Coded, Watched},
};

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

/// A response that is watched to its end.
pub(crate) type Observed = ::http::Response<Watched<Body, Call>>;

/// One call, from its arrival to the end of its response; a call that is given up counts as CANCELLED.
pub(crate) struct Call {
    method: KeyValue,
    span: Span,
    start: Instant,
    code: Option<Code>,
    admitted: Option<Admitted>,
    sending: Option<Sending>,
}

impl Call {
    /// Begins a span within the caller's, if it sent one.
    pub(crate) fn begin(path: &str, headers: &HeaderMap) -> Self {
        let method = methods::label(path);
        INSTRUMENTS.active.add(1, slice::from_ref(&method));
        let span = tracing::info_span!(
            "rpc.server",
            rpc.method = %method.value,
            rpc.system.name = field::Empty,
            rpc.response.status_code = field::Empty,
            trace_id = field::Empty,
            "error.type" = field::Empty,
            refused = field::Empty,
            otel.name = field::Empty,
            otel.kind = field::Empty,
            otel.status_code = field::Empty,
        );
        if telemetry::exports_traces() {
            trace(&span, &method, headers);
        }
        Self { method, span, start: Instant::now(), code: None, admitted: None, sending: None }
    }

    /// Keeps the leave to handle it until its end.
    pub(crate) fn admitted(&mut self, admitted: Admitted) {
        self.admitted = Some(admitted);
    }

    /// Keeps its response among those that are on their way, until its end.
    pub(crate) fn sending(&mut self, sending: Sending) {
        self.sending = Some(sending);
    }

    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }

    /// Watches the response to its end, where its code stands.
    pub(crate) fn observe(self, response: Response) -> Observed {
        trailers::watched(self, response)
    }
}

impl Coded for Call {
    fn coded(&mut self, code: Code) {
        self.code = Some(code);
    }
}

/// Gives the span what traces need, before it starts: left empty without them, so that log lines stay short.
fn trace(span: &Span, method: &KeyValue, headers: &HeaderMap) {
    span.record("otel.name", field::display(&method.value));
    span.record("otel.kind", "server");
    span.record("rpc.system.name", "grpc");
    telemetry::propagation::set_parent(span, headers);
    span.record("trace_id", telemetry::propagation::trace_id(span));
}

impl Drop for Call {
    fn drop(&mut self) {
        let code = api::code_name(self.code.unwrap_or(Code::Cancelled));
        // No line of the log comes behind it: only traces show it.
        if telemetry::exports_traces() {
            self.span.record("rpc.response.status_code", code);
            if self.code.is_some_and(is_failure_of_server) {
                self.span.record("error.type", code);
                self.span.record("otel.status_code", "ERROR");
            }
        }
        INSTRUMENTS.active.add(-1, slice::from_ref(&self.method));
        let labels = [self.method.clone(), KeyValue::new("code", code)];
        INSTRUMENTS.duration.record(self.start.elapsed().as_secs_f64(), &labels);
    }
}

/// The codes that are errors to a server; the others are answers to its callers
/// (<https://opentelemetry.io/docs/specs/semconv/rpc/grpc/>).
const fn is_failure_of_server(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_known_by_its_headers() {
        let call = Call::begin("/grpc.health.v1.Health/Check", &HeaderMap::new());
        let response = call.observe(tonic::Status::not_found("none").into_http());
        assert_eq!(trailers::code(response.headers()), Some(Code::NotFound));
    }
}
