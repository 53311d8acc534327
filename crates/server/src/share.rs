//! A share of something scarce, such as a pool of connections: so many users at a time, so many that wait, and a refusal
//! at once for the rest. What one kind of call may use up, no other kind is kept from.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// The longest wait for a turn. The number of those who wait should keep it far below.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// As many as may are waiting already, or the turn did not come in time. Nothing was done; come back later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests are waiting")]
pub struct Busy;

/// The share. Clones are the same one.
#[derive(Clone, Debug)]
pub struct Share {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

/// A turn. Over when dropped.
#[derive(Debug)]
pub struct Turn {
    _turn: OwnedSemaphorePermit,
}

impl Share {
    /// For `users` at a time, while at most `waiting` wait.
    #[must_use]
    pub fn new(users: usize, waiting: usize) -> Self {
        Self { turns: Arc::new(Semaphore::new(users)), places: Arc::new(Semaphore::new(waiting)) }
    }

    /// A turn, as soon as it comes; first come, first served.
    ///
    /// # Errors
    /// [`Busy`], at once if too many wait.
    pub async fn turn(&self) -> Result<Turn, Busy> {
        let turns = || Arc::clone(&self.turns);
        if let Ok(turn) = turns().try_acquire_owned() {
            return Ok(Turn { _turn: turn });
        }
        let _place = self.places.try_acquire().map_err(|_| Busy)?;
        let turn = timeout(MAX_WAIT, turns().acquire_owned()).await.ok().and_then(Result::ok).ok_or(Busy)?;
        Ok(Turn { _turn: turn })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn so_many_have_a_turn_so_many_wait_and_the_next_is_refused_at_once() {
        let share = Share::new(1, 1);
        let first = share.turn().await.unwrap();
        let waits = tokio::spawn({
            let share = share.clone();
            async move { share.turn().await }
        });
        while share.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(share.turn().await.unwrap_err(), Busy);
        drop(first);
        assert!(waits.await.unwrap().is_ok());
        assert!(share.turn().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_ever() {
        let share = Share::new(1, 1);
        let _stays = share.turn().await.unwrap();
        assert_eq!(share.turn().await.unwrap_err(), Busy);
        assert_eq!(share.places.available_permits(), 1);
    }
}
