//! A session that has seen to it that its server shows nothing that a promotion may still undo.
//!
//! What a session reads must be as safe as what it is told of its commits. A server that crashed shows, when it is back, what
//! it had committed and its standby never got: a verdict read from that, and then a promotion, and a seat is sold twice. So one
//! session, the witness, commits nothing, which waits, where the server waits for a standby at all, until that has
//! everything before it. As long as the witness lives the server has not crashed again, and others may be opened beside it.
//! Its name travels in the options of the others, and each asks its server whether it knows the witness.

use std::{future::pending, time::Duration};

use sqlx::{PgConnection, Row as _, postgres::PgConnectOptions};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use crate::session::{RELEASE_TIMEOUT, nobody, open, silent, takes_writes};

/// The setting that names the witness.
const SETTING: &str = "holdfast.witness";
/// The name of nobody.
const NONE: &str = "none";
/// A session's name on its server, which no other has, ever.
const NAME: &str = "select pid || '-' || (extract(epoch from backend_start) * 1000000)::bigint
                    from pg_stat_activity where pid = pg_backend_pid()";
/// The commit of nothing.
const COMMIT: &str = "select pg_logical_emit_message(true, 'holdfast', '')";
/// Whether a session is to a server that takes writes, beside its witness.
const CHECK: &str = "select current_setting('transaction_read_only') = 'off' and exists (
                         select from pg_stat_activity
                         where pid || '-' || (extract(epoch from backend_start) * 1000000)::bigint
                             = current_setting('holdfast.witness'))";
/// How long a commit is waited for before it is given up. Its session stays with the server, until there is a standby: few may.
const PATIENCE: Duration = Duration::from_secs(30);

/// Options to reach a server that has no witness: no session that is opened with them passes the check.
pub(crate) fn none(server: &PgConnectOptions) -> PgConnectOptions {
    server.clone().options([(SETTING, NONE)])
}

/// Whether a session that is opened with these options has to be checked.
pub(crate) fn is_wanted(options: &PgConnectOptions) -> bool {
    options.get_options().is_some_and(|options| options.contains(SETTING))
}

/// Refuses a session to a server that takes no writes, or has no witness: it is as good as away.
pub(crate) async fn check(session: &mut PgConnection) -> sqlx::Result<()> {
    let ask = async { sqlx::raw_sql(CHECK).fetch_one(session).await?.try_get::<bool, _>(0) };
    if timeout(RELEASE_TIMEOUT, ask).await.unwrap_or_else(|_| Err(silent()))? {
        Ok(())
    } else {
        Err(nobody())
    }
}

/// The witness of one server, once there is one.
#[derive(Default)]
pub(crate) struct Witness {
    session: Option<PgConnection>,
    coming: Option<Coming>,
}

struct Coming {
    since: Instant,
    server: PgConnectOptions,
    session: JoinHandle<sqlx::Result<(PgConnection, String)>>,
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.session.abort();
    }
}

impl Witness {
    /// Sees whether it still lives; if not, sends for another.
    pub(crate) async fn keep(&mut self, server: &PgConnectOptions, limit: Duration) {
        if let Some(mut session) = self.session.take()
            && matches!(timeout(limit, takes_writes(&mut session)).await, Ok(Ok(true)))
        {
            self.session = Some(session);
            return;
        }
        if self.coming.as_ref().is_none_or(|coming| coming.since.elapsed() > PATIENCE) {
            let session = tokio::spawn(swear(server.clone()));
            self.coming = Some(Coming { since: Instant::now(), server: server.clone(), session });
        }
    }

    /// Waits until there is a new one. Returns the options to open sessions with beside it. May be left at any moment.
    pub(crate) async fn sworn(&mut self) -> PgConnectOptions {
        let Some(coming) = &mut self.coming else { return pending().await };
        let session = (&mut coming.session).await;
        let server = coming.server.clone();
        self.coming = None;
        match session {
            Ok(Ok((session, name))) => {
                self.session = Some(session);
                server.options([(SETTING, name)])
            }
            // It is sent for again when the servers are looked at the next time.
            _ => none(&server),
        }
    }
}

/// Opens a session and commits nothing in it. Returns its name.
async fn swear(server: PgConnectOptions) -> sqlx::Result<(PgConnection, String)> {
    let mut session = open(&server).await?;
    let name = sqlx::raw_sql(NAME).fetch_one(&mut session).await?.try_get(0)?;
    sqlx::raw_sql(COMMIT).execute(&mut session).await?;
    Ok((session, name))
}
