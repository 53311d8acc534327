//! Erlang's port mapper: nodes of one cluster, and the tools that talk to them, find each other through it.

use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use rustix::process::Signal;

use crate::home::Home;
use crate::port;
use crate::process::{Process, ProcessId};

/// An epmd on a port of its own, which outlives the nodes that use it.
#[derive(Debug)]
pub(super) struct Epmd {
    port: u16,
    process: Mutex<Option<Process>>,
}

impl Epmd {
    /// One that does not run yet.
    pub(super) fn new() -> Result<Self> {
        Ok(Self { port: port::free()?, process: Mutex::default() })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Starts it in the foreground, unless it runs: so its number is known, and nodes find it instead of starting one.
    pub(super) fn start(&self, home: &Home, mut command: Command) -> Result<()> {
        let mut process = self.process();
        if process.as_mut().is_some_and(Process::is_running) {
            return Ok(());
        }
        command.args(["-address", "127.0.0.1", "-port", &self.port.to_string()]);
        let epmd = process.insert(Process::spawn(command, &home.logs()?.join("epmd.log"))?);
        home.watch(epmd, Signal::KILL)
    }

    pub(super) fn stop(&self, home: &Home) {
        if let Some(mut epmd) = self.process().take() {
            epmd.kill();
            home.forget(&epmd);
        }
    }

    pub(super) fn id(&self) -> Option<ProcessId> {
        self.process().as_ref().map(Process::id)
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
