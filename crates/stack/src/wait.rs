//! Waiting on a condition, with a limit.

use std::thread;
use std::time::{Duration, Instant};

/// Asks again and again until `condition` holds; false when it did not within `limit`.
pub fn until(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() >= limit {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}
