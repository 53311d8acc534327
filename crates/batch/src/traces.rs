//! Batches in traces: a batch does the work of many requests, which are parts of many traces.

use telemetry::propagation::{is_sampled, link_both};
use tracing::Span;

/// The span of a batch called `name`. One trace cannot have many parents: the batch belongs to that of its oldest request, of those
/// that are exported if any is, and is linked with the spans of all others. Without traces it is the oldest request's own.
pub(crate) fn span<'a, Spans>(name: &'static str, oldest: Span, all: impl Fn() -> Spans) -> Span
where
    Spans: Iterator<Item = &'a Span>,
{
    if !telemetry::exports_traces() {
        return oldest;
    }
    let Some(parent) = all().find(|span| is_sampled(span)) else { return oldest };
    let batch = tracing::info_span!(parent: parent, "job.batch", otel.name = %format_args!("batch {name}"));
    for other in all().filter(|other| other.id() != parent.id() && is_sampled(other)) {
        link_both(&batch, other);
    }
    batch
}
