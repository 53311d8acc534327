//! What an error of the database means to the one who called it.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use sqlx::Error;

/// Whether the database is away or cannot keep up: nothing is wrong with the request, and later it may succeed.
///
/// After an error on commit its outcome is unknown.
#[must_use]
pub fn is_outage(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
        Error::Database(error) => error.code().is_some_and(|code| is_outage_code(&code)),
        _ => false,
    }
}

/// Whether the unit of work lost against another and may be done again: serialization failure or deadlock.
#[must_use]
pub fn is_conflict(error: &Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// Whether the constraint or unique index of this name was violated: the rule behind it said no.
#[must_use]
pub fn violates(error: &Error, constraint: &str) -> bool {
    error.as_database_error().and_then(|error| error.constraint()) == Some(constraint)
}

fn code(error: &Error) -> Option<std::borrow::Cow<'_, str>> {
    error.as_database_error().and_then(|error| error.code())
}

fn is_outage_code(code: &str) -> bool {
    // 08: connection; 53: out of connections, memory or disk; 58: the machine below.
    let classes = ["08", "53", "58"];
    classes.iter().any(|class| code.starts_with(class))
        || matches!(
            code,
            "57P01" // shut down by the administrator
                | "57P02" // crashed
                | "57P03" // starting up or shutting down
                | "57P05" // idle session ended
                | "57014" // statement_timeout
                | "55P03" // lock_timeout
                | "25P03" // idle_in_transaction_session_timeout
                | "25006" // read only: a standby, before or after a failover
        )
}
