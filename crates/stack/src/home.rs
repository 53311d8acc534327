//! A folder for everything that one stack keeps, and the watchdog that cleans up after its owner, however that dies.

use std::env;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use rustix::process::Signal;
use uuid::Uuid;

use crate::process::Process;

/// The watchdog: a shell script, so that it needs nothing built.
const WATCHDOG: &str = include_str!("watchdog.sh");

/// A folder, and the processes that work in it.
///
/// When the last handle goes, or the process that holds it dies in whatever way, the watchdog ends these processes;
/// a temporary folder is removed then (not when `HOLDFAST_KEEP` is set: to look at logs).
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    temporary: bool,
    watchdog: Mutex<Watchdog>,
}

#[derive(Debug)]
struct Watchdog {
    process: Child,
    /// Closed (by us, or by the kernel when we die) it tells the watchdog to act.
    orders: Option<ChildStdin>,
}

impl Home {
    /// A new folder for the time being, under the system's folder for temporary files.
    pub fn temporary(name: &str) -> Result<Arc<Self>> {
        let dir = env::temp_dir().join(format!("holdfast-{name}-{}", Uuid::new_v4().simple()));
        Self::open(&dir, true)
    }

    /// A folder that stays; only what runs in it is ended with the owner.
    pub fn permanent(dir: impl AsRef<Path>) -> Result<Arc<Self>> {
        Self::open(dir.as_ref(), false)
    }

    fn open(dir: &Path, temporary: bool) -> Result<Arc<Self>> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let dir = dir.canonicalize().with_context(|| format!("find {}", dir.display()))?;
        if temporary {
            // PostgreSQL may run under another account than ours, whatever our umask is.
            fs::set_permissions(&dir, Permissions::from_mode(0o755)).context("open the folder to others")?;
        }
        let mut command = Command::new("sh");
        command.arg("-c").arg(WATCHDOG).arg("watchdog");
        let keep = env::var_os("HOLDFAST_KEEP").is_some_and(|value| !value.is_empty());
        command.arg(if temporary && !keep { dir.as_os_str() } else { "".as_ref() });
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: an interrupt from the terminal is not for the watchdog.
        let mut process = command.process_group(0).spawn().context("start the watchdog (sh)")?;
        let orders = process.stdin.take();
        Ok(Arc::new(Self { dir, temporary, watchdog: Mutex::new(Watchdog { process, orders }) }))
    }

    /// The folder, as an absolute path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether it goes with its owner.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        self.temporary
    }

    /// The folder for the logs of everything that runs here.
    pub fn logs(&self) -> Result<PathBuf> {
        let logs = self.dir.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("create {}", logs.display()))?;
        Ok(logs)
    }

    /// The signal that is to end a process: what is thrown away with its data need not end gently.
    pub(crate) fn end_signal(&self, gently: Signal) -> Signal {
        if self.temporary { Signal::KILL } else { gently }
    }

    /// Has the watchdog end the process with `signal` (and with SIGKILL where that does not help).
    pub(crate) fn watch(&self, process: &Process, signal: Signal) -> Result<()> {
        self.order(&format!("watch {} {}\n", process.id().pid(), signal.as_raw()))
    }

    /// The process has ended: its number may soon be another's.
    pub(crate) fn forget(&self, process: &Process) {
        // Without the watchdog there is nobody left to be told.
        let _ = self.order(&format!("forget {}\n", process.id().pid()));
    }

    /// Lets everything that runs here go on when its owner ends.
    pub fn release(&self) -> Result<()> {
        self.order("release\n")
    }

    fn order(&self, line: &str) -> Result<()> {
        let mut watchdog = self.watchdog.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = watchdog.orders.as_mut().context("the watchdog has been dismissed")?;
        orders.write_all(line.as_bytes()).context("the watchdog has died")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let watchdog = self.watchdog.get_mut().unwrap_or_else(PoisonError::into_inner);
        drop(watchdog.orders.take());
        let _ = watchdog.process.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_home_ends_its_processes_and_goes() {
        let home = Home::temporary("test").expect("a folder can be made");
        let dir = home.dir().to_owned();
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' TERM; sleep 60 & wait"]);
        let process = Process::spawn(command, &dir.join("log")).expect("sh starts");
        home.watch(&process, Signal::TERM).expect("the watchdog listens");
        let id = process.id();
        assert!(id.is_running());
        drop(home);
        assert!(!id.is_running());
        assert!(!dir.exists());
    }

    #[test]
    fn what_is_released_goes_on() {
        let dir = env::temp_dir().join(format!("holdfast-test-{}", Uuid::new_v4().simple()));
        let home = Home::permanent(&dir).expect("a folder can be made");
        let mut command = Command::new("sleep");
        command.arg("60");
        let mut process = Process::spawn(command, &dir.join("log")).expect("sleep starts");
        home.watch(&process, Signal::TERM).expect("the watchdog listens");
        home.release().expect("the watchdog listens");
        drop(home);
        assert!(process.is_running());
        assert!(dir.exists());
        process.kill();
        fs::remove_dir_all(&dir).expect("the folder is ours");
    }
}
