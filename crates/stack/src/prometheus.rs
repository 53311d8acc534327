//! A private Prometheus that watches what runs, with data of its own on a loopback port that nobody else uses.

use std::env;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::home::Home;
use crate::process::Process;
use crate::{http, log, port, wait};

/// How long it may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A Prometheus that runs. It ends with its [`Home`], or before.
#[derive(Debug)]
pub struct Prometheus {
    home: Arc<Home>,
    port: u16,
    process: Mutex<Process>,
}

impl Prometheus {
    /// Starts it with these files, of which `prometheus.yml` is its configuration, and waits until it is ready.
    pub fn start(home: &Arc<Home>, files: &[(&str, String)]) -> Result<Self> {
        let program = env::split_paths(&env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join("prometheus"))
            .find(|program| program.is_file())
            .context("prometheus is not installed: `scripts/install.sh prometheus` installs it")?;
        let folder = home.dir().join("prometheus");
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        for (name, text) in files {
            fs::write(folder.join(name), text).with_context(|| format!("write {name}"))?;
        }
        let port = port::free()?;
        let mut command = Command::new(program);
        command.current_dir(&folder).args(["--config.file=prometheus.yml", "--storage.tsdb.path=data"]);
        command.arg(format!("--web.listen-address={}", port::loopback(port))).arg("--log.level=warn");
        let log = home.logs()?.join("prometheus.log");
        let mut process = Process::spawn(command, &log)?;
        home.watch(&process, Signal::KILL)?;
        let is_ready =
            || http::get(port::loopback(port), "/-/ready").is_ok_and(|answer| answer.status == 200);
        let ready = wait::until(READY_LIMIT, || is_ready() || !process.is_running());
        if ready && process.is_running() {
            return Ok(Self { home: Arc::clone(home), port, process: Mutex::new(process) });
        }
        process.kill();
        home.forget(&process);
        bail!("Prometheus did not start on 127.0.0.1:{port}\n{}", log::tail(&log, 20))
    }

    /// Asks its HTTP API, blocking for 2 seconds at most.
    pub fn get(&self, path: &str) -> Result<http::Answer> {
        http::get(port::loopback(self.port), path)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        process.kill();
        self.home.forget(process);
    }
}
