//! What an error of the database means to the one who called it.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use std::borrow::Cow;

use sqlx::{Error, error::DatabaseError};

/// What sqlx 0.9.0 makes of a connection that ends where the server should say whether it speaks TLS: it looks at a byte that
/// never came.
const CUT_OFF: &str = "unexpected response from SSLRequest: 0x00";

/// Whether the database is away or cannot keep up: nothing is wrong with the request, and later it may succeed.
///
/// After an error on commit its outcome is unknown.
#[must_use]
pub fn is_outage(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => true,
        Error::Protocol(text) => text.starts_with(CUT_OFF),
        error => code(error).is_some_and(|code| is_outage_code(&code)),
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
    error.as_database_error().and_then(DatabaseError::constraint) == Some(constraint)
}

/// The code that the server gave its error; `None` if the error is not the server's.
pub(crate) fn code(error: &Error) -> Option<Cow<'_, str>> {
    error.as_database_error().and_then(DatabaseError::code)
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

#[cfg(test)]
mod tests {
    use std::{error, fmt, io};

    use sqlx::{Connection as _, PgConnection, error::ErrorKind, postgres::PgConnectOptions};
    use tokio::{io::AsyncReadExt as _, net::TcpListener};

    use super::*;

    /// An error as the server reports it.
    #[derive(Debug)]
    struct Reported {
        code: &'static str,
        constraint: Option<&'static str>,
    }

    impl fmt::Display for Reported {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.code)
        }
    }

    impl error::Error for Reported {}

    impl DatabaseError for Reported {
        fn message(&self) -> &str {
            self.code
        }
        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.code.into())
        }
        fn constraint(&self) -> Option<&str> {
            self.constraint
        }
        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
        fn as_error(&self) -> &(dyn error::Error + Send + Sync + 'static) {
            self
        }
        fn as_error_mut(&mut self) -> &mut (dyn error::Error + Send + Sync + 'static) {
            self
        }
        fn into_error(self: Box<Self>) -> Box<dyn error::Error + Send + Sync + 'static> {
            self
        }
    }

    fn reported(code: &'static str) -> Error {
        Error::Database(Box::new(Reported { code, constraint: None }))
    }

    #[test]
    fn a_server_that_is_away_or_overwhelmed_is_an_outage() {
        let codes =
            ["08006", "53300", "53100", "57P01", "57P02", "57P03", "57014", "55P03", "25006", "58030"];
        for code in codes {
            assert!(is_outage(&reported(code)), "{code}");
            assert!(!is_conflict(&reported(code)), "{code}");
        }
        assert!(is_outage(&Error::PoolTimedOut));
        assert!(is_outage(&io::Error::from(io::ErrorKind::ConnectionRefused).into()));
    }

    /// As when a server dies, or a link is cut, in the moment in which a connection is made.
    #[tokio::test]
    async fn a_connection_that_is_cut_off_in_its_first_answer_is_an_outage() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = tokio::spawn(async move {
            let (mut connection, _) = listener.accept().await.unwrap();
            // SSLRequest, of which all is read so that the end is an orderly one.
            connection.read_exact(&mut [0; 8]).await.unwrap();
        });
        let options = PgConnectOptions::new_without_pgpass().host("127.0.0.1").port(port).username("u");
        let error = PgConnection::connect_with(&options).await.unwrap_err();
        server.await.unwrap();
        assert!(is_outage(&error), "{error:?}");
    }

    #[test]
    fn a_mistake_of_ours_is_no_outage() {
        for code in ["42P01", "42601", "23505", "23514", "22P02", "28P01"] {
            assert!(!is_outage(&reported(code)), "{code}");
            assert!(!is_conflict(&reported(code)), "{code}");
        }
        assert!(!is_outage(&Error::RowNotFound));
    }

    #[test]
    fn only_serialization_failures_and_deadlocks_are_conflicts() {
        assert!(is_conflict(&reported("40001")));
        assert!(is_conflict(&reported("40P01")));
        assert!(!is_outage(&reported("40001")));
        assert!(!is_conflict(&Error::PoolTimedOut));
    }

    #[test]
    fn a_violated_constraint_is_told_by_its_name() {
        let constraint = Some("products_sku_key");
        let error = Error::Database(Box::new(Reported { code: "23505", constraint }));
        assert!(violates(&error, "products_sku_key"));
        assert!(!violates(&error, "products_pkey"));
        assert!(!violates(&Error::RowNotFound, "products_sku_key"));
    }
}
