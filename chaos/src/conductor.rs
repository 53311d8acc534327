//! Carries out the plan: each fault at its time, one at a time on each target, mended when its time is up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::fault::{Fault, Happened, Struck, Target};
use crate::plan::Planned;
use crate::site::Site;
use crate::time::Clock;

/// How often it is looked whether all services are there.
const ROUND: Duration = Duration::from_millis(500);

/// Breaks things.
#[derive(Clone, Debug)]
pub struct Conductor {
    site: Arc<Site>,
    clock: Clock,
    stop: CancellationToken,
    failed: CancellationToken,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    targets: Mutex<HashMap<Target, Arc<AsyncMutex<()>>>>,
    happened: Mutex<Vec<Happened>>,
    in_vain: Mutex<Vec<&'static str>>,
    active: Mutex<Vec<String>>,
    ended: Mutex<Vec<String>>,
}

impl Conductor {
    /// Of a site.
    #[must_use]
    pub fn new(site: Arc<Site>, clock: Clock) -> Self {
        Self {
            site,
            clock,
            stop: CancellationToken::new(),
            failed: CancellationToken::new(),
            shared: Arc::default(),
        }
    }

    /// Carries out the plan; returns when everything is mended, or at once when something cannot be.
    pub async fn conduct(&self, plan: &[Planned]) -> Result<()> {
        let start = tokio::time::Instant::now();
        let mut faults = JoinSet::new();
        for planned in plan {
            tokio::select! {
                () = sleep_until(start + planned.at) => {}
                () = self.stop.cancelled() => break,
                () = self.failed.cancelled() => break,
            }
            let (conductor, planned) = (self.clone(), *planned);
            faults.spawn(async move {
                let done = conductor.carry_out(planned).await;
                if done.is_err() {
                    conductor.failed.cancel();
                }
                done
            });
        }
        while let Some(done) = faults.join_next().await {
            done??;
        }
        Ok(())
    }

    async fn carry_out(&self, planned: Planned) -> Result<()> {
        let Planned { fault, lasts, .. } = planned;
        let _struck = self.target(fault.target()).await;
        if self.stop.is_cancelled() {
            return Ok(());
        }
        let target = self.site.name(fault.target());
        let name = format!("{}: {target}", fault.kind());
        let from = self.clock.now();
        self.say(&format!("{name}{}, for {} ms", detail(fault), lasts.as_millis()));
        lock(&self.shared.active).push(name.clone());
        let timers = match self.blocking(move |site| site.strike(fault)).await {
            Ok(Struck::Broken) => Some(0),
            Ok(Struck::Purged(timers)) => Some(timers),
            Ok(Struck::Nothing) => None,
            // RabbitMQ may just be coming up.
            Err(error) if fault == Fault::Purge => {
                self.say(&format!("{name}: {error:#}"));
                None
            }
            // What is broken now nobody knows: nothing may be mended.
            Err(error) => return Err(error.context(name)),
        };
        if let Some(timers) = timers {
            tokio::select! {
                () = sleep(lasts) => {}
                () = self.stop.cancelled() => {}
            }
            self.blocking(move |site| site.mend(fault)).await.with_context(|| format!("mend {name}"))?;
            let to = self.clock.now();
            lock(&self.shared.happened).push(Happened { kind: fault.kind(), target, timers, from, to });
        } else {
            self.say(&format!("not done, as there was nothing to break: {name}"));
            lock(&self.shared.in_vain).push(fault.kind());
        }
        lock(&self.shared.active).retain(|active| *active != name);
        Ok(())
    }

    /// From now on everything is mended, and nothing more is broken.
    pub fn calm(&self) {
        self.stop.cancel();
    }

    /// Watches that no service ends without having been struck, until it is [`calm`](Self::calm). Starts it again, and notes it.
    pub async fn watch(self) -> Result<()> {
        while !self.stop.is_cancelled() {
            for service in 0..self.site.shape().services {
                let target = Target::Service(service);
                let free = self.lock_of(target).try_lock_owned();
                if free.is_ok() && self.blocking(move |site| site.revive(service)).await? {
                    let name = self.site.name(target);
                    self.say(&format!("{name} HAS ENDED BY ITSELF; started again"));
                    lock(&self.shared.ended).push(name);
                }
            }
            tokio::select! {
                () = sleep(ROUND) => {}
                () = self.stop.cancelled() => {}
            }
        }
        Ok(())
    }

    /// What is broken now.
    #[must_use]
    pub fn active(&self) -> Vec<String> {
        lock(&self.shared.active).clone()
    }

    /// What has been broken and mended.
    #[must_use]
    pub fn happened(&self) -> Vec<Happened> {
        lock(&self.shared.happened).clone()
    }

    /// The kinds of the faults that found nothing to break.
    #[must_use]
    pub fn in_vain(&self) -> Vec<&'static str> {
        lock(&self.shared.in_vain).clone()
    }

    /// Waits until something cannot be broken as it should be, or not be mended.
    pub async fn failed(&self) {
        self.failed.cancelled().await;
    }

    /// Services that ended by themselves.
    #[must_use]
    pub fn ended(&self) -> Vec<String> {
        lock(&self.shared.ended).clone()
    }

    async fn target(&self, target: Target) -> OwnedMutexGuard<()> {
        self.lock_of(target).lock_owned().await
    }

    fn lock_of(&self, target: Target) -> Arc<AsyncMutex<()>> {
        Arc::clone(lock(&self.shared.targets).entry(target).or_default())
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Site) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let site = Arc::clone(&self.site);
        spawn_blocking(move || work(&site)).await?
    }

    fn say(&self, text: &str) {
        println!("[{:7.1} s] {text}", self.clock.elapsed().as_secs_f64());
    }
}

/// What the kind of a fault does not tell.
fn detail(fault: Fault) -> String {
    match fault {
        Fault::Link(_, stack::Weather::Slow(delay)) => format!(", by {} ms", delay.as_millis()),
        _ => String::new(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
