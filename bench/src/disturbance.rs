//! What else the machine was busy with while something was measured: figures that were taken beside it mean little.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::cpu::own_ticks;
use crate::figure::median;

/// How often is looked.
const EVERY: Duration = Duration::from_secs(1);
/// How many writes are timed.
const WRITES: u64 = 50;

/// Runs `work`, and answers beside its result which percentage of the processors anything else took meanwhile: other programs,
/// the kernel's own threads, other guests of the host.
///
/// # Errors
/// The work panicked, or nothing is known of the processors.
pub fn beside<T: Send>(work: impl FnOnce() -> T + Send) -> Result<(T, f64)> {
    let (done, over) = channel::<()>();
    thread::scope(|scope| {
        let watch: ScopedJoinHandle<'_, Result<f64>> = scope.spawn(move || {
            let (mut before, mut others, mut all) = (Sample::take()?, 0.0, 0.0);
            let mut more = true;
            while more {
                more = matches!(over.recv_timeout(EVERY), Err(RecvTimeoutError::Timeout));
                let now = Sample::take()?;
                // Processes that ended for good take their time with them: that second says nothing.
                if now.own >= before.own {
                    others += ((now.busy - before.busy) - (now.own - before.own)).max(0.0);
                    all += now.all - before.all;
                }
                before = now;
            }
            Ok(if all > 0.0 { others / all * 100.0 } else { 0.0 })
        });
        let worked = work();
        drop(done);
        let percentage = watch.join().map_err(|_| anyhow!("the watch panicked"))??;
        Ok((worked, percentage))
    })
}

/// Ticks of processor time so far.
#[derive(Clone, Copy)]
struct Sample {
    /// Of this program and of all that it started.
    own: f64,
    /// Of all that was not idle.
    busy: f64,
    /// Of all processors.
    all: f64,
}

impl Sample {
    fn take() -> Result<Self> {
        let stat = fs::read_to_string("/proc/stat").context("read /proc/stat")?;
        let line = stat.lines().next().unwrap_or_default();
        // user, nice, system, idle, iowait, irq, softirq, steal; guests are part of user.
        let ticks: Vec<f64> =
            line.split_whitespace().skip(1).take(8).filter_map(|text| text.parse().ok()).collect();
        let all: f64 = ticks.iter().sum();
        let idle: f64 = ticks.iter().skip(3).take(2).sum();
        Ok(Self { own: own_ticks(), busy: all - idle, all })
    }
}

/// How long it takes to write 8 kB and to have it on the disk, in microseconds: the median. No commit is faster.
///
/// # Errors
/// There is no place for temporary files.
pub fn sync_micros() -> Result<f64> {
    // Scenarios may run beside each other in one process: the file has no name to share.
    let mut file = tempfile::tempfile().context("create a file")?;
    let page = [0x5a; 8_192];
    file.write_all(&page)?;
    file.sync_all()?;
    let times = (0..WRITES).map(|_| {
        let start = Instant::now();
        file.write_all_at(&page, 0)?;
        file.sync_data()?;
        Ok(start.elapsed().as_secs_f64() * 1e6)
    });
    Ok(median(&times.collect::<Result<Vec<_>>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_took_is_a_percentage() {
        let (worked, percentage) = beside(|| 7).expect("there is /proc/stat");
        assert_eq!(worked, 7);
        assert!((0.0..=100.0).contains(&percentage), "{percentage}");
        assert!(sync_micros().expect("there is a disk") > 0.0);
    }
}
