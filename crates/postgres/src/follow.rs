//! A pool over several servers, of which one takes writes: it follows that one when another is promoted.
//!
//! Nothing here keeps two servers from taking writes at the same time; `docs/adr/0009` says what does. What it does: no
//! connection to a server that takes no writes gets into the pool or stays in it, none to a server that was left, and none
//! that could show what a promotion may still undo (`witness`).

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sqlx::{PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::{
    probe::{Primary, Probe, primary},
    servers::Servers,
    session::{ACQUIRE_TIMEOUT, RELEASE_TIMEOUT, address, silent, takes_writes},
    witness::{self, Witness},
};

/// How often every server is asked, and how long it may take to answer.
const INTERVAL: Duration = Duration::from_secs(1);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Makes a pool of connections to the server of this index, and has it follow the one that takes writes. When the pool is
/// followed no longer, it is closed.
pub(crate) fn following(servers: Servers, index: usize, options: PgPoolOptions) -> PgPool {
    let turned = Turned::default();
    let released = turned.clone();
    let pool = options
        .after_connect(|connection, _| Box::pin(witness::check(connection)))
        .after_release(move |connection, about| {
            let released = released.clone();
            Box::pin(
                async move { Ok(answers_as_primary(connection).await? && !released.outdates(about.age)) },
            )
        })
        .connect_lazy_with(witness::none(servers.get(index)));
    let (probes, pool_to_close) = (servers.probes(), CloseOnDrop(pool.clone()));
    let follower = Follower {
        servers,
        probes,
        current: index,
        newest: 0,
        alarmed: false,
        witness: Witness::default(),
        turned,
        pool: pool.clone(),
    };
    tokio::spawn(async move {
        let _pool = pool_to_close;
        follower.run().await;
    });
    pool
}

/// Takes the place of the pool's ping: also a server that was demoted under its connections loses them.
async fn answers_as_primary(connection: &mut PgConnection) -> sqlx::Result<bool> {
    timeout(RELEASE_TIMEOUT, takes_writes(connection)).await.unwrap_or_else(|_| Err(silent()))
}

/// A pool that nobody leads to the next primary would wait for the old one for ever: who watches it sees it closed instead.
struct CloseOnDrop(PgPool);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        // Closed from now on; to wait until its connections are back is for others.
        drop(self.0.close());
    }
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
    /// The highest timeline of a primary so far. There is no way back.
    newest: u32,
    /// Whether something was wrong when they were last asked.
    alarmed: bool,
    witness: Witness,
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
                _ = ticks.tick() => self.look().await,
                options = self.witness.sworn() => self.pool.set_connect_options(options),
            }
        }
    }

    async fn look(&mut self) {
        match primary(&mut self.probes, ANSWER_TIMEOUT).await {
            Ok(primary) if !self.follow(primary) => return,
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "no primary is to be seen"),
        }
        self.witness.keep(self.servers.get(self.current), ANSWER_TIMEOUT).await;
    }

    /// Goes where the primary is; not if that is one of the past.
    fn follow(&mut self, primary: Primary) -> bool {
        let is_outdated = primary.timeline < self.newest;
        // Once, and not each second for as long as it lasts.
        let alarm = primary.is_contested || is_outdated;
        if alarm && !self.alarmed {
            primary.alarm(self.servers.get(primary.index));
        }
        self.alarmed = alarm;
        if is_outdated || primary.index != self.current {
            self.leave(primary.index);
        }
        self.newest = self.newest.max(primary.timeline);
        !is_outdated
    }

    /// Leaves the server that was followed for another, or for what is there now under its address.
    fn leave(&mut self, index: usize) {
        if index != self.current {
            let [from, to] = [self.current, index].map(|index| address(self.servers.get(index)));
            tracing::warn!(from, to, "another server takes the writes now");
        }
        self.current = index;
        self.witness = Witness::default();
        self.pool.set_connect_options(witness::none(self.servers.get(index)));
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
