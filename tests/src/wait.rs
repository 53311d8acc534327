//! Waiting on a condition, with a limit.

use std::{fmt::Debug, time::Duration};

use tokio::time::{Instant, sleep};

/// How long anything may take that should come soon: long, for a machine that has much else to do.
pub const PATIENCE: Duration = Duration::from_secs(30);

const INTERVAL: Duration = Duration::from_millis(20);

/// Looks again and again until `look` answers `Ok`; panics when it does not within `limit`, with the last thing seen.
pub async fn eventually<T, S: Debug>(
    what: &str,
    limit: Duration,
    mut look: impl AsyncFnMut() -> Result<T, S>,
) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => {
                assert!(start.elapsed() < limit, "not within {limit:?}: {what}; last seen: {seen:#?}");
            }
        }
        sleep(INTERVAL).await;
    }
}

/// What was seen, as `Ok` if it is what is waited for.
pub fn when<T>(is_so: bool, seen: T) -> Result<T, T> {
    if is_so { Ok(seen) } else { Err(seen) }
}
