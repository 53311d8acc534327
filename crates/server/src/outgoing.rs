//! The span and the metrics of a call to another service: rate, errors and duration by method and code.

use std::{sync::LazyLock, time::Instant};

use opentelemetry::{KeyValue, metrics::Histogram};
use tonic::Code;
use tracing::{Span, field};

use crate::{methods, trailers::Coded};

static DURATION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    telemetry::duration_histogram(
        "holdfast_rpc_client_duration_seconds",
        "Time from a call to another service, with all its tries, to the end of the response",
    )
});

/// One call, from its beginning to the end of its response; a call that is given up counts as CANCELLED.
pub(crate) struct Outgoing {
    method: KeyValue,
    span: Span,
    start: Instant,
    code: Option<Code>,
}

impl Outgoing {
    /// A call to the method with this path begins; its span is within the current one, if that is traced: what nobody asked for,
    /// such as a look at the clock every second, makes no trace of its own.
    pub(crate) fn begin(path: &str) -> Self {
        let method = methods::label(path);
        let is_traced = telemetry::exports_traces() && telemetry::propagation::is_traced(&Span::current());
        let span = if is_traced { span(&method) } else { Span::none() };
        Self { method, span, start: Instant::now(), code: None }
    }

    /// Its span; none without traces.
    pub(crate) fn span(&self) -> Span {
        self.span.clone()
    }
}

fn span(method: &KeyValue) -> Span {
    tracing::info_span!(
        "rpc.client",
        otel.name = %method.value,
        otel.kind = "client",
        rpc.system.name = "grpc",
        rpc.method = %method.value,
        server.address = field::Empty,
        server.port = field::Empty,
        rpc.response.status_code = field::Empty,
        "error.type" = field::Empty,
        otel.status_code = field::Empty,
    )
}

impl Coded for Outgoing {
    fn coded(&mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let code = api::code_name(self.code.unwrap_or(Code::Cancelled));
        self.span.record("rpc.response.status_code", code);
        if self.code != Some(Code::Ok) {
            self.span.record("error.type", code);
            self.span.record("otel.status_code", "ERROR");
        }
        let labels = [self.method.clone(), KeyValue::new("code", code)];
        DURATION.record(self.start.elapsed().as_secs_f64(), &labels);
    }
}
