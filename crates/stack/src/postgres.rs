//! A private PostgreSQL server: loopback only, no sockets elsewhere, its data in the stack's folder.

mod database;
mod install;
mod pair;
mod roles;
mod secured;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use uuid::Uuid;

pub use self::database::{CATALOG_MIGRATOR, RESERVATION_MIGRATOR, Schema};
use self::install::Install;
pub use self::install::postgres_program;
pub use self::pair::PostgresPair;
use crate::home::Home;
use crate::pki::Pki;
use crate::process::{Process, ProcessId};
use crate::{log, port, process, wait};

/// How long it may take until it is ready, crash recovery included.
const READY_LIMIT: Duration = Duration::from_mins(1);
/// How long it may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// How to run it.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    /// The port; none: any that is free.
    pub port: Option<u16>,
    /// Whether commits survive a crash of the machine. They survive a crash of the server in any case.
    pub durable: bool,
    /// Further settings, as in postgresql.conf.
    pub settings: Vec<(String, String)>,
    /// Whether it speaks TLS alone, with these certificates, and knows roles by theirs.
    pub tls: Option<Arc<Pki>>,
}

/// How to stop it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Shutdown {
    /// Ends every session, then writes everything out.
    Fast,
    /// At once; the next start recovers from the log.
    Immediate,
}

/// A private server. It ends with its [`Home`].
#[derive(Debug)]
pub struct Postgres {
    home: Arc<Home>,
    /// Of its folder and its log.
    name: &'static str,
    install: Install,
    data: PathBuf,
    port: u16,
    options: PostgresOptions,
    /// The port of the server that it copies; none: it is a primary.
    upstream: Mutex<Option<u16>>,
    process: Mutex<Option<Process>>,
    /// Template databases that are there already.
    templates: Mutex<Vec<Schema>>,
}

impl Postgres {
    /// Starts one in a folder of its own that goes with it: for tests that need nothing else.
    pub fn temporary() -> Result<Self> {
        Self::start(&Home::temporary("postgres")?, PostgresOptions::default())
    }

    /// Starts one that keeps its data in `home`, and waits until it is ready.
    pub fn start(home: &Arc<Home>, options: PostgresOptions) -> Result<Self> {
        let mut server = Self::at(home, "postgres", options)?;
        server.create()?;
        server.boot()?;
        Ok(server)
    }

    /// One that does not run yet and may have no data, in a folder of this name.
    fn at(home: &Arc<Home>, name: &'static str, options: PostgresOptions) -> Result<Self> {
        let folder = home.dir().join(name);
        let version = fs::read_to_string(folder.join("data/PG_VERSION")).ok();
        let install = Install::find(version.as_deref().map(str::trim))?;
        let data = reachable(home, &install, folder)?.join("data");
        Ok(Self {
            home: Arc::clone(home),
            name,
            install,
            data,
            port: 0,
            options,
            upstream: Mutex::default(),
            process: Mutex::default(),
            templates: Mutex::default(),
        })
    }

    /// Makes an empty cluster, unless there is one.
    fn create(&self) -> Result<()> {
        if self.data.exists() {
            Ok(())
        } else {
            create_cluster(&self.install, &self.data, self.options.durable)
        }
    }

    /// Starts it for the first time, on a port that it keeps.
    fn boot(&mut self) -> Result<()> {
        let tries = if self.options.port.is_some() { 1 } else { 5 };
        for attempt in 1.. {
            self.port = self.options.port.map_or_else(port::free, Ok)?;
            match self.restart() {
                Ok(()) => break,
                // Another process may have been faster to take the port.
                Err(_) if attempt < tries && !port::is_free(self.port) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What its log and its folder are called.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name
    }

    /// The folder of its data.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of one of its databases. Any user is trusted, or known by a certificate; `postgres` may do everything.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        self.url_as("postgres", database)
    }

    /// The same for another user.
    #[must_use]
    pub fn url_as(&self, user: &str, database: &str) -> String {
        let parameters = self.url_parameters(user);
        format!("postgres://{user}@127.0.0.1:{}/{database}{parameters}", self.port)
    }

    /// Starts it again on the same port, stopping it first where it runs, and waits until it is ready.
    pub fn restart(&self) -> Result<()> {
        self.stop(Shutdown::Fast);
        self.clear_lock()?;
        self.write_certificates()?;
        let log = self.log()?;
        let process = Process::spawn(self.server_command(), &log)?;
        self.home.watch(&process, Signal::QUIT)?;
        let mut running = self.process();
        let process = running.insert(process);
        let id = process.id();
        let ready = wait::until(READY_LIMIT, || self.is_ready(id) || !process.is_running());
        if ready && process.is_running() {
            return Ok(());
        }
        process.kill();
        self.home.forget(process);
        *running = None;
        bail!("PostgreSQL did not start on 127.0.0.1:{}\n{}", self.port, log::tail(&log, 20))
    }

    /// Stops it, where it runs.
    pub fn stop(&self, how: Shutdown) {
        if let Some(mut process) = self.process().take() {
            let signal = if how == Shutdown::Fast { Signal::INT } else { Signal::QUIT };
            process.signal_all(Signal::CONT);
            process.end(signal, STOP_LIMIT);
            self.home.forget(&process);
        }
    }

    /// Kills it with all its sessions, as a crash would.
    pub fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            process.kill();
            self.home.forget(&process);
        }
    }

    /// Stops its clockwork: connections stay open and nothing answers.
    pub fn freeze(&self) {
        if let Some(process) = self.process().as_mut() {
            process.signal_all(Signal::STOP);
        }
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        if let Some(process) = self.process().as_mut() {
            process.signal_all(Signal::CONT);
        }
    }

    /// The process that runs, if any.
    #[must_use]
    pub fn id(&self) -> Option<ProcessId> {
        self.process().as_ref().map(Process::id)
    }

    /// Its log.
    pub fn log(&self) -> Result<PathBuf> {
        Ok(self.home.logs()?.join(format!("{}.log", self.name)))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn upstream(&self) -> MutexGuard<'_, Option<u16>> {
        self.upstream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn server_command(&self) -> std::process::Command {
        let mut settings = vec![
            ("listen_addresses", "127.0.0.1".to_owned()),
            ("port", self.port.to_string()),
            ("unix_socket_directories", String::new()),
            ("max_connections", "300".to_owned()),
            ("shared_buffers", "256MB".to_owned()),
            ("checkpoint_timeout", "15min".to_owned()),
            ("max_wal_size", "2GB".to_owned()),
            ("log_line_prefix", "%m [%p] %d %a ".to_owned()),
        ];
        if !self.options.durable {
            settings.extend([("fsync", "off".to_owned()), ("full_page_writes", "off".to_owned())]);
        }
        settings.extend(self.tls_settings());
        if let Some(port) = *self.upstream() {
            let primary =
                format!("host=127.0.0.1 port={port} user=postgres application_name={}", pair::STANDBY);
            settings.push(("primary_conninfo", primary));
        }
        let given = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.clone()));
        let mut command = self.install.command("postgres");
        command.arg("-D").arg(&self.data);
        for (name, value) in settings.into_iter().chain(given) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
    }

    /// Removes the lock file of a server that was killed and that nobody has reaped: PostgreSQL would take it for alive.
    fn clear_lock(&self) -> Result<()> {
        let path = self.data.join("postmaster.pid");
        let Ok(lock) = fs::read_to_string(&path) else { return Ok(()) };
        let pid = lock.lines().next().and_then(|line| line.trim().parse().ok());
        // Its sessions may outlive it for a moment.
        let over = || pid.is_none_or(process::is_gone) && !process::any_works_in(&self.data);
        if wait::until(Duration::from_secs(5), over) {
            fs::remove_file(&path).with_context(|| format!("remove {}", path.display()))?;
        }
        Ok(())
    }

    /// Whether the server says so itself in its lock file (its 8th line, as `pg_ctl` reads it). A standby can be read then.
    fn is_ready(&self, id: ProcessId) -> bool {
        let lock = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let lines: Vec<&str> = lock.lines().map(str::trim).collect();
        lines.first() == Some(&id.pid().to_string().as_str())
            && matches!(lines.get(7), Some(&("ready" | "standby")))
    }
}

/// A folder for the cluster that PostgreSQL's account can reach. Under a folder that is root's alone (a clone in /root)
/// it cannot: then the cluster lives beside the system's own clusters, and a link in `home` says where.
fn reachable(home: &Home, install: &Install, folder: PathBuf) -> Result<PathBuf> {
    if let Ok(elsewhere) = fs::read_link(&folder) {
        ensure!(install.prepare(&elsewhere)?, "PostgreSQL cannot reach {}", elsewhere.display());
        return Ok(elsewhere);
    }
    if install.prepare(&folder)? {
        return Ok(folder);
    }
    ensure!(!home.is_temporary(), "PostgreSQL cannot reach {}: set TMPDIR", folder.display());
    let elsewhere = Path::new("/var/lib/postgresql").join(format!("holdfast-{}", Uuid::new_v4().simple()));
    ensure!(install.prepare(&elsewhere)?, "PostgreSQL cannot reach {}", folder.display());
    fs::remove_dir(&folder).with_context(|| format!("replace {}", folder.display()))?;
    symlink(&elsewhere, &folder).with_context(|| format!("link {}", folder.display()))?;
    Ok(elsewhere)
}

/// Runs initdb beside the final place and renames: a cluster is there as a whole or not at all.
fn create_cluster(install: &Install, data: &Path, durable: bool) -> Result<()> {
    let draft = data.with_extension("new");
    let _ = fs::remove_dir_all(&draft);
    let mut command = install.command("initdb");
    command.arg("-D").arg(&draft).args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8"]);
    command.arg("--no-instructions");
    if !durable {
        command.arg("--no-sync");
    }
    let output = command.output().context("run initdb")?;
    ensure!(output.status.success(), "initdb failed:\n{}", String::from_utf8_lossy(&output.stderr));
    fs::rename(&draft, data).with_context(|| format!("rename the new cluster to {}", data.display()))
}
