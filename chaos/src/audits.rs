//! Audits: again and again while everything runs and breaks, and what they say as violations.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Result;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::checker::{Rule, Violation};
use crate::conductor::Conductor;

/// The rest between two audits: as long as the one before took, within these limits.
const REST: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(20)];
/// How long an audit waits for a service that is away, before it cannot say anything.
const PATIENCE_MS: u32 = 3_000;
/// How late anything may be settled in a storm. Of calm there are stricter limits ([`judge`](crate::judge)).
const OVERDUE_LIMIT_MS: u32 = 60_000;

/// What came of all audits of a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Audits {
    /// How many came to their end.
    pub(crate) done: u64,
    /// How many of them while nothing was broken.
    pub(crate) in_calm: u64,
    /// How many could not say anything: a service was away.
    pub(crate) given_up: u64,
    violations: BTreeSet<String>,
}

/// Someone who audits until told to stop.
#[derive(Debug)]
pub(crate) struct Auditor {
    auditing: JoinHandle<Audits>,
}

impl Auditor {
    /// Lets one audit the services that the options name.
    pub(crate) fn start(options: audit::Options, conductor: Conductor, stop: CancellationToken) -> Self {
        let options =
            audit::Options { patience_ms: PATIENCE_MS, overdue_limit_ms: OVERDUE_LIMIT_MS, ..options };
        let auditing = tokio::spawn(async move {
            let mut audits = Audits::default();
            while !stop.is_cancelled() {
                let started = Instant::now();
                let calm = conductor.active().is_empty();
                match audit::run(&options).await {
                    Ok(audited) => {
                        audits.done += 1;
                        audits.in_calm += u64::from(calm && conductor.active().is_empty());
                        audits.violations.extend(lines(&audited));
                    }
                    Err(_) => audits.given_up += 1,
                }
                tokio::select! {
                    () = sleep(started.elapsed().clamp(REST[0], REST[1])) => {}
                    () = stop.cancelled() => {}
                }
            }
            audits
        });
        Self { auditing }
    }

    /// Waits for its end, and asks what it has found.
    pub(crate) async fn ask(self) -> Result<Audits> {
        Ok(self.auditing.await?)
    }
}

impl Audits {
    /// What was found.
    pub(crate) fn violations(&self) -> impl Iterator<Item = Violation> {
        self.violations.iter().map(|line| violation(format!("while all went on: {line}")))
    }
}

/// What an audit found.
pub(crate) fn violations(audited: &audit::Report) -> impl Iterator<Item = Violation> {
    lines(audited).map(violation)
}

fn lines(audited: &audit::Report) -> impl Iterator<Item = String> {
    audited.violations.iter().flat_map(|(rule, broken)| {
        broken.listed.iter().map(move |one| format!("{rule}: {} {:?}", one.description, one.ids))
    })
}

fn violation(text: String) -> Violation {
    Violation { rule: Rule::TheAuditAgrees, booking: None, text }
}
