//! What is done in the database, in traces: <https://opentelemetry.io/docs/specs/semconv/database/database-spans/>.

use futures::TryFutureExt as _;
use sqlx::PgPool;
use tracing::{Instrument as _, Span, field};

use crate::{DatabaseError, error::code};

/// The span of a unit of work, within the current one. None where that is not traced: what nobody asked for, such as a look at an
/// empty outbox, makes no trace of its own.
pub(crate) fn span(pool: &PgPool, work: &'static str) -> Span {
    if !telemetry::exports_traces() || !telemetry::propagation::is_traced(&Span::current()) {
        return Span::none();
    }
    let options = pool.connect_options();
    let database = options.get_database().unwrap_or_default();
    tracing::info_span!(
        "db.work",
        otel.name = %format_args!("{work} {database}"),
        otel.kind = "client",
        db.system.name = "postgresql",
        db.namespace = database,
        db.operation.name = work,
        server.address = options.get_host(),
        server.port = i64::from(options.get_port()), // other numbers are exported as text
        db.response.status_code = field::Empty,
        "error.type" = field::Empty,
        otel.status_code = field::Empty,
    )
}

/// Shows `work`, which is no unit of work but statements that a call needs, in the trace of the call under this name. Without
/// traces it is `work` itself.
pub fn traced<T, E, W>(
    pool: &PgPool,
    name: &'static str,
    work: W,
) -> impl Future<Output = Result<T, E>> + use<T, E, W>
where
    E: DatabaseError,
    W: Future<Output = Result<T, E>>,
{
    let span = span(pool, name);
    let within = span.clone();
    // What was refused for another reason was answered by the database all the same.
    let watched = work.inspect_err(move |error| {
        if let Some(error) = error.database() {
            failed(&span, Some(error));
        }
    });
    watched.instrument(within)
}

/// The work failed, with an error of the database if that is what it was.
pub(crate) fn failed(span: &Span, error: Option<&sqlx::Error>) {
    if span.is_disabled() {
        return;
    }
    let code = error.and_then(code);
    if let Some(code) = &code {
        span.record("db.response.status_code", code.as_ref());
    }
    span.record("error.type", code.as_deref().unwrap_or("other"));
    span.record("otel.status_code", "ERROR");
}
