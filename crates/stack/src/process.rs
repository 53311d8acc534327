//! Processes by number: started in a group of their own, told from others that get the same number later, and ended.

use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::wait;

/// A process number together with the time the process started, so that a reused number is not taken for it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ProcessId {
    pid: i32,
    started: u64,
}

impl ProcessId {
    /// The number alone.
    #[must_use]
    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Whether the process is there and not merely waiting to be reaped.
    #[must_use]
    pub fn is_running(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.started == self.started && stat.state != 'Z')
    }

    /// Whether the file of its program was replaced since it started: it was built anew.
    #[must_use]
    pub fn program_was_replaced(self) -> bool {
        let program = fs::read_link(format!("/proc/{}/exe", self.pid));
        // proc(5): the kernel marks a file that has no name any more.
        program.is_ok_and(|path| path.to_string_lossy().ends_with(" (deleted)"))
    }
}

/// A process that leads a process group of its own.
#[derive(Debug)]
pub struct Process {
    id: ProcessId,
    /// Present when it was started here: then it is ours to reap.
    child: Option<Child>,
}

impl Process {
    /// Starts it with no input and its output appended to `log`.
    pub(crate) fn spawn(mut command: Command, log: &Path) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = OpenOptions::new().create(true).append(true).open(log);
        let output = output.with_context(|| format!("open the log {}", log.display()))?;
        let errors = output.try_clone().context("share the log")?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = command.spawn().with_context(|| format!("start {program}"))?;
        let pid = i32::try_from(child.id()).context("read the process number")?;
        let started = Stat::read(pid).map_or(0, |stat| stat.started);
        Ok(Self { id: ProcessId { pid, started }, child: Some(child) })
    }

    /// Takes charge of a process that another `Process` started, if it is still there.
    #[must_use]
    pub fn adopt(id: ProcessId) -> Option<Self> {
        id.is_running().then_some(Self { id, child: None })
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// Whether it is there. Reaps it when it has ended.
    pub fn is_running(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => self.id.is_running(),
        }
    }

    /// The code that it ended with by itself, if it was started here and no signal ended it.
    pub fn exit_code(&mut self) -> Option<i32> {
        self.child.as_mut()?.try_wait().ok()??.code()
    }

    /// Sends a signal to its group.
    pub fn signal(&mut self, signal: Signal) {
        if self.is_running()
            && let Some(pid) = Pid::from_raw(self.id.pid)
        {
            // It may end between the check and the signal: then there is nobody left to tell.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Sends a signal to its group and to all its descendants, some of which may lead groups of their own.
    pub fn signal_all(&mut self, signal: Signal) {
        let before = descendants(self.id.pid);
        self.signal(signal);
        // And to those that were started before the signal reached it: a stopped process starts no more.
        let after = descendants(self.id.pid);
        for pid in before.into_iter().chain(after).filter_map(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// Waits for its end; false when it is still there after `limit`.
    pub fn wait(&mut self, limit: Duration) -> bool {
        wait::until(limit, || !self.is_running())
    }

    /// Ends it with `signal`, and with SIGKILL when that is not heeded within `limit`.
    pub fn end(&mut self, signal: Signal, limit: Duration) {
        self.signal(signal);
        if !self.wait(limit) {
            self.kill();
        }
    }

    /// Ends it and all its descendants with SIGKILL.
    pub fn kill(&mut self) {
        let descendants = descendants(self.id.pid);
        self.signal_all(Signal::KILL);
        self.wait(Duration::from_secs(10));
        wait::until(Duration::from_secs(10), || descendants.iter().all(|pid| is_gone(*pid)));
    }
}

/// Whether no process has the number, or one that only waits to be reaped.
pub(crate) fn is_gone(pid: i32) -> bool {
    Stat::read(pid).is_none_or(|stat| stat.state == 'Z')
}

/// Whether some process works in the folder.
pub(crate) fn any_works_in(dir: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|process| fs::read_link(process.path().join("cwd")).ok()).any(|cwd| cwd == dir)
}

/// The numbers of a process's children, their children and so on.
fn descendants(pid: i32) -> Vec<i32> {
    let all: Vec<(i32, i32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::read(pid)?.parent)))
        .collect();
    let mut found = vec![pid];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(all.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

/// What is needed of `/proc/PID/stat` (proc(5)).
struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name in parentheses may hold anything, spaces and parentheses too; fields count from 3 after it.
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::spawn(command, Path::new("/dev/null")).expect("sh starts")
    }

    #[test]
    fn a_process_is_running_until_it_is_killed_with_its_descendants() {
        let mut process = shell("sleep 60 & sleep 60");
        assert!(process.is_running());
        assert!(Process::adopt(process.id()).is_some());
        assert!(wait::until(Duration::from_secs(5), || descendants(process.id.pid).len() == 2));
        let children = descendants(process.id.pid);
        process.kill();
        assert!(!process.is_running());
        assert!(children.into_iter().all(is_gone));
        assert!(Process::adopt(process.id()).is_none());
    }

    #[test]
    fn a_process_that_ignores_the_signal_is_killed() {
        let mut process = shell("trap '' TERM; while :; do sleep 0.05; done");
        process.end(Signal::TERM, Duration::from_millis(300));
        assert!(!process.is_running());
    }

    #[test]
    fn a_number_with_another_start_time_is_another_process() {
        let mut process = shell("sleep 60");
        let reused = ProcessId { started: process.id.started + 1, ..process.id };
        assert!(!reused.is_running());
        process.kill();
    }
}
