//! The metrics of a call to another service: rate, errors and duration by method and code.

use std::{sync::LazyLock, time::Instant};

use opentelemetry::{KeyValue, metrics::Histogram};
use tonic::Code;

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
    start: Instant,
    code: Option<Code>,
}

impl Outgoing {
    /// A call to the method with this path begins.
    pub(crate) fn begin(path: &str) -> Self {
        Self { method: methods::label(path), start: Instant::now(), code: None }
    }
}

impl Coded for Outgoing {
    fn coded(&mut self, code: Code) {
        self.code = Some(code);
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        let code = api::code_name(self.code.unwrap_or(Code::Cancelled));
        let labels = [self.method.clone(), KeyValue::new("code", code)];
        DURATION.record(self.start.elapsed().as_secs_f64(), &labels);
    }
}
