//! A pool over several servers, of which one takes writes: it follows that one when another is promoted.
//!
//! Nothing here keeps two servers from taking writes at the same time; `docs/adr/0009` says what does. What it does: no
//! connection to a server that takes no writes gets into the pool or stays in it, none to a server that was left, and none
//! that could show what a promotion may still undo.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{
    connect::{ACQUIRE_TIMEOUT, RELEASE_TIMEOUT, silent},
    servers::{Primary, Probe, Servers, address, nobody, primary, takes_writes},
};

/// How often every server is asked, and how long it may take to answer.
const INTERVAL: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a pool of connections to the server of this index, and has it follow the one that takes writes.
pub(crate) fn following(servers: Servers, index: usize, options: PgPoolOptions) -> PgPool {
    let turned = Turned::default();
    let released = turned.clone();
    let turn = Arc::new(tokio::sync::Mutex::new(()));
    let pool = options
        .after_connect(move |connection, _| {
            let turn = Arc::clone(&turn);
            Box::pin(async move { admit(connection, &turn).await })
        })
        .after_release(move |connection, about| {
            let outdated = released.outdates(about.age);
            Box::pin(async move { Ok(!outdated && answers_as_primary(connection).await?) })
        })
        .connect_lazy_with(servers.get(index).clone());
    let probes = servers.probes();
    tokio::spawn(
        Follower { servers, probes, current: index, contested: false, turned, pool: pool.clone() }.run(),
    );
    pool
}

/// A server that takes no writes is as good as one that is away. And what a session reads must be as safe as what it is
/// told of its commits: a server that crashed shows, when it is back, what it had committed and its standby never got. So each
/// session begins with a commit of nothing, which waits, where the server waits for a standby at all, until that has
/// everything before it. One at a time, as the server goes on waiting when the caller has left.
async fn admit(connection: &mut PgConnection, turn: &tokio::sync::Mutex<()>) -> sqlx::Result<()> {
    if !answers_as_primary(connection).await? {
        return Err(nobody());
    }
    let _turn = turn.lock().await;
    sqlx::raw_sql("select pg_logical_emit_message(true, 'holdfast', '')").execute(connection).await?;
    Ok(())
}

/// Takes the place of the pool's ping: also a server that was demoted under its connections loses them.
async fn answers_as_primary(connection: &mut PgConnection) -> sqlx::Result<bool> {
    timeout(RELEASE_TIMEOUT, takes_writes(connection)).await.unwrap_or_else(|_| Err(silent()))
}

/// When the pool turned to another server; `None`: it never did.
#[derive(Clone, Debug, Default)]
struct Turned(Arc<Mutex<Option<Instant>>>);

impl Turned {
    fn now(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a connection of this age may lead to a server that was left.
    fn outdates(&self, age: Duration) -> bool {
        let turned = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turned.is_some_and(|turned| was_opening(age, turned.elapsed()))
    }
}

/// Whether a connection of this age was open so long ago, or may have been being opened.
fn was_opening(age: Duration, ago: Duration) -> bool {
    ago < age + ACQUIRE_TIMEOUT
}

/// Looks for the server that takes writes, for as long as the pool is open.
struct Follower {
    servers: Servers,
    probes: Vec<Probe>,
    current: usize,
    /// Whether two took writes when they were last asked.
    contested: bool,
    turned: Turned,
    pool: PgPool,
}

impl Follower {
    async fn run(mut self) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.pool.close_event() => return,
                _ = ticks.tick() => {}
            }
            match primary(&mut self.probes, ANSWER_TIMEOUT).await {
                Ok(primary) => self.follow(primary),
                Err(error) => tracing::debug!(%error, "no primary is to be seen"),
            }
        }
    }

    fn follow(&mut self, primary: Primary) {
        // Once, and not each second for as long as it lasts.
        if primary.is_contested && !self.contested {
            primary.alarm(&self.servers);
        }
        self.contested = primary.is_contested;
        if primary.index != self.current {
            self.turn_to(primary.index);
        }
    }

    fn turn_to(&mut self, index: usize) {
        let [from, to] = [self.current, index].map(|index| address(self.servers.get(index)));
        tracing::warn!(from, to, "another server takes the writes now");
        self.current = index;
        self.pool.set_connect_options(self.servers.get(index).clone());
        self.turned.now();
        // Idle ones go at once; those in use go when they are released.
        while let Some(idle) = self.pool.try_acquire() {
            drop(idle.detach());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_opened_before_the_turn_or_might_have_been_goes() {
        let [before, meanwhile, after] = [61, 59, 57].map(Duration::from_secs);
        let ago = Duration::from_mins(1);
        assert!(was_opening(before, ago) && was_opening(meanwhile, ago) && !was_opening(after, ago));
        assert!(!Turned::default().outdates(before));
    }
}
