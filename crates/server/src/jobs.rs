//! Background jobs of a process, supervised: one that panics, or ends before its time, takes the process down.
//!
//! A process whose relay or watcher is dead still answers and looks ready; nobody would notice for long. So it drains
//! and ends with an error, and whoever runs it starts it anew.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::ensure;
use futures::FutureExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Health;

/// The background jobs of this process. Clones share them.
#[derive(Clone, Debug)]
pub struct Jobs {
    tasks: TaskTracker,
    health: Health,
    stop: CancellationToken,
    dead: Arc<Mutex<Vec<&'static str>>>,
}

impl Jobs {
    /// None yet. The death of one makes `health` not ready, and cancels `stop`, which must drain the process.
    #[must_use]
    pub fn new(health: &Health, stop: &CancellationToken) -> Self {
        Self { tasks: TaskTracker::new(), health: health.clone(), stop: stop.clone(), dead: Arc::default() }
    }

    /// Starts a job, which is to go on until `until` is cancelled, and to end soon after. `name` is for people.
    pub fn spawn<Job>(&self, name: &'static str, until: &CancellationToken, job: Job)
    where
        Job: Future<Output = ()> + Send + 'static,
    {
        let (jobs, until) = (self.clone(), until.clone());
        self.tasks.spawn(async move {
            // Unwind safe: nothing of the job is looked at after a panic; the process ends.
            let panicked = AssertUnwindSafe(job).catch_unwind().await.is_err();
            if panicked || !until.is_cancelled() {
                jobs.bury(name, if panicked { "it panicked" } else { "it ended before its time" });
            }
        });
    }

    /// Watches over something that lives elsewhere, and must not come to its `end` before `until` is cancelled.
    pub fn watch<End>(&self, name: &'static str, until: &CancellationToken, end: End)
    where
        End: Future<Output = ()> + Send + 'static,
    {
        let stopped = until.clone();
        self.spawn(name, until, async move {
            tokio::select! {
                () = stopped.cancelled() => {}
                () = end => {}
            }
        });
    }

    /// Waits until every job has ended.
    ///
    /// # Errors
    /// One of them panicked, or ended before its time.
    pub async fn finish(self) -> anyhow::Result<()> {
        self.tasks.close();
        self.tasks.wait().await;
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(dead.is_empty(), "died in the background: {}", dead.join(", "));
        Ok(())
    }

    fn bury(&self, job: &'static str, how: &'static str) {
        tracing::error!(job, how, "a background job is dead: the process stops");
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).push(job);
        self.health.drain();
        self.stop.cancel();
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};

    use super::*;

    struct Process {
        health: Health,
        stop: CancellationToken,
        until: CancellationToken,
        jobs: Jobs,
    }

    fn process() -> Process {
        let (health, stop) = (Health::new(&[]), CancellationToken::new());
        let jobs = Jobs::new(&health, &stop);
        Process { health, stop, until: CancellationToken::new(), jobs }
    }

    #[tokio::test]
    async fn a_job_that_panics_stops_the_process_which_fails_for_it() {
        let Process { health, stop, until, jobs } = process();
        jobs.spawn("healthy", &until, until.clone().cancelled_owned());
        jobs.spawn("doomed", &until, async { panic!("on purpose") });
        stop.cancelled().await;
        assert!(!health.is_ready());
        until.cancel();
        let error = jobs.finish().await.expect_err("a job died");
        assert_eq!(error.to_string(), "died in the background: doomed");
    }

    #[tokio::test]
    async fn a_job_that_ends_before_its_time_stops_the_process_too() {
        let Process { health, stop, until, jobs } = process();
        jobs.spawn("idle", &until, ready(()));
        stop.cancelled().await;
        assert!(!health.is_ready());
        assert!(jobs.finish().await.is_err());
    }

    #[tokio::test]
    async fn what_is_watched_may_end_after_the_process_was_told_to() {
        let Process { stop, until, jobs, .. } = process();
        jobs.watch("broker", &until, pending());
        until.cancel();
        assert!(jobs.clone().finish().await.is_ok());
        let until = CancellationToken::new();
        jobs.watch("batcher", &until, ready(()));
        stop.cancelled().await;
        assert!(jobs.finish().await.is_err());
    }

    #[tokio::test]
    async fn a_panic_on_the_way_out_is_an_error_as_well() {
        let Process { until, jobs, .. } = process();
        let told = until.clone();
        jobs.spawn("clumsy", &until, async move {
            told.cancelled().await;
            panic!("on purpose");
        });
        until.cancel();
        assert!(jobs.finish().await.is_err());
    }

    #[tokio::test]
    async fn jobs_that_end_when_they_are_told_to_are_no_failure() {
        let Process { health, stop, until, jobs } = process();
        jobs.spawn("healthy", &until, until.clone().cancelled_owned());
        until.cancel();
        assert!(jobs.finish().await.is_ok());
        assert!(health.is_ready() && !stop.is_cancelled());
    }
}
