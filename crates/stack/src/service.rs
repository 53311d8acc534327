//! The processes of Holdfast itself: catalog, reservation and expirer, each as often as wanted.

use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::Signal;
use rustls::ClientConfig;

use crate::home::Home;
use crate::process::{Process, ProcessId};
use crate::{binary, http, log, port, wait};

/// How long it may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long it may drain before it is killed; longer than the limit it sets itself.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Which program a service runs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ServiceKind {
    /// Owns products, stock, seats and holds.
    Catalog,
    /// Owns bookings, and decides.
    Reservation,
    /// Carries verdicts on holds that fall due.
    Expirer,
}

impl ServiceKind {
    /// All three, in the order in which they are started.
    pub const ALL: [Self; 3] = [Self::Catalog, Self::Reservation, Self::Expirer];

    /// The name of its program.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Catalog => "catalog",
            Self::Reservation => "reservation",
            Self::Expirer => "expirer",
        }
    }

    /// What one of several is called: a number from the second on.
    #[must_use]
    pub fn replica_name(self, replica: usize) -> String {
        match replica {
            0 => self.name().to_owned(),
            replica => format!("{}-{}", self.name(), replica + 1),
        }
    }

    fn has_grpc(self) -> bool {
        self != Self::Expirer
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct ServiceOptions {
    /// The program.
    pub kind: ServiceKind,
    /// Which one of several, from 0: names its log.
    pub replica: usize,
    /// The gRPC port; none: any that is free.
    pub grpc_port: Option<u16>,
    /// The HTTP port; none: any that is free.
    pub http_port: Option<u16>,
    /// Environment variables: its configuration.
    pub env: Vec<(String, String)>,
    /// Whom to trust where it speaks TLS.
    pub tls: Option<Arc<ClientConfig>>,
}

/// A service that runs, or did. It ends with its [`Home`].
#[derive(Debug)]
pub struct Service {
    home: Arc<Home>,
    options: ServiceOptions,
    program: PathBuf,
    grpc_port: u16,
    http_port: u16,
    process: Mutex<Option<Process>>,
}

impl Service {
    /// Starts it and waits until it says that it is ready.
    pub fn start(home: &Arc<Home>, options: ServiceOptions) -> Result<Self> {
        let program = binary::binary(options.kind.name())?;
        let mut service = Self {
            home: Arc::clone(home),
            options,
            program,
            grpc_port: 0,
            http_port: 0,
            process: Mutex::default(),
        };
        for attempt in 1.. {
            let ServiceOptions { grpc_port, http_port, .. } = service.options;
            service.grpc_port = grpc_port.map_or_else(port::free, Ok)?;
            service.http_port = http_port.map_or_else(port::free, Ok)?;
            match service.restart() {
                Ok(()) => break,
                // Another process may have been faster to take a port.
                Err(_) if attempt < 5 && service.port_was_taken() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(service)
    }

    /// Its program.
    #[must_use]
    pub fn kind(&self) -> ServiceKind {
        self.options.kind
    }

    /// Its name: the program's, with a number from the second replica on.
    #[must_use]
    pub fn name(&self) -> String {
        self.kind().replica_name(self.options.replica)
    }

    /// The URL of its gRPC port. The expirer has none: nothing listens there.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme(), self.grpc_port)
    }

    /// Its gRPC port.
    #[must_use]
    pub fn grpc_port(&self) -> u16 {
        self.grpc_port
    }

    /// The URL of its HTTP port: health and metrics.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme(), self.http_port)
    }

    fn scheme(&self) -> &'static str {
        if self.options.tls.is_some() { "https" } else { "http" }
    }

    /// Asks its HTTP port, blocking for 2 seconds at most.
    pub fn get(&self, path: &str) -> Result<http::Answer> {
        let address = port::loopback(self.http_port);
        match &self.options.tls {
            Some(config) => http::get_secured(config, address, path),
            None => http::get(address, path),
        }
    }

    /// Starts it again on the same ports, stopping it first where it runs, and waits until it is ready.
    pub fn restart(&self) -> Result<()> {
        self.stop();
        self.spawn()?;
        self.wait_ready(READY_LIMIT)
    }

    /// Starts it on its ports without waiting for anything.
    pub fn spawn(&self) -> Result<()> {
        self.spawn_with(&[])
    }

    /// As [`Self::spawn`], with further environment variables for this start only.
    pub fn spawn_with(&self, env: &[(&str, &str)]) -> Result<()> {
        let mut running = self.process();
        ensure!(running.is_none(), "{} runs already", self.name());
        let mut command = self.command();
        command.envs(env.iter().copied());
        let process = Process::spawn(command, &self.log()?)?;
        self.home.watch(&process, self.home.end_signal(Signal::TERM))?;
        *running = Some(process);
        Ok(())
    }

    /// Waits until it says that it is ready; ends it and shows its log when it does not.
    pub fn wait_ready(&self, limit: Duration) -> Result<()> {
        let mut answer = "it does not answer".to_owned();
        let ready = wait::until(limit, || match self.get("/readyz") {
            Ok(got) if got.status == 200 => true,
            Ok(got) => {
                answer = got.body;
                false
            }
            Err(_) => !self.is_running(),
        });
        if ready && self.is_running() {
            return Ok(());
        }
        let why = if self.is_running() { answer } else { "it has ended".to_owned() };
        self.kill();
        bail!("{} is not ready: {why}\n{}", self.name(), log::tail(&self.log()?, 30))
    }

    /// Whether its process is there.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process().as_mut().is_some_and(Process::is_running)
    }

    /// The code that it ended with, if it ended by itself.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        self.process().as_mut().and_then(Process::exit_code)
    }

    /// Asks it to stop (SIGTERM) and waits until it has drained.
    pub fn stop(&self) {
        self.end(|process| {
            process.signal(Signal::CONT);
            process.end(Signal::TERM, STOP_LIMIT);
        });
    }

    /// Kills it (SIGKILL).
    pub fn kill(&self) {
        self.end(Process::kill);
    }

    /// Stops its clockwork (SIGSTOP): connections stay open and nothing answers.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT) after [`Self::freeze`].
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends it any other signal.
    pub fn signal(&self, signal: Signal) {
        if let Some(process) = self.process().as_mut() {
            process.signal(signal);
        }
    }

    /// The process that runs, if any.
    #[must_use]
    pub fn id(&self) -> Option<ProcessId> {
        self.process().as_ref().map(Process::id)
    }

    /// Its log.
    pub fn log(&self) -> Result<PathBuf> {
        Ok(self.home.logs()?.join(format!("{}.log", self.name())))
    }

    /// Brings its database up to date: runs the program's subcommand `migrate`.
    pub(crate) fn migrate(home: &Home, kind: ServiceKind, env: &[(String, String)]) -> Result<()> {
        let mut command = Command::new(binary::binary(kind.name())?);
        let output = command.arg("migrate").envs(env.iter().cloned()).current_dir(home.dir()).output();
        let output = output.with_context(|| format!("run {} migrate", kind.name()))?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(
            output.status.success(),
            "{} migrate failed:\n{}",
            kind.name(),
            String::from_utf8_lossy(&said)
        );
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(self.home.dir()).envs(self.options.env.iter().cloned());
        command.env("HOLDFAST_HTTP_LISTEN", port::loopback(self.http_port).to_string());
        if self.kind().has_grpc() {
            command.env("HOLDFAST_LISTEN", port::loopback(self.grpc_port).to_string());
        }
        command
    }

    fn end(&self, how: impl FnOnce(&mut Process)) {
        if let Some(mut process) = self.process().take() {
            how(&mut process);
            self.home.forget(&process);
        }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one of the ports that it chose itself is another's by now.
    fn port_was_taken(&self) -> bool {
        let chosen = [(self.options.grpc_port, self.grpc_port), (self.options.http_port, self.http_port)];
        chosen.into_iter().any(|(wanted, port)| wanted.is_none() && !port::is_free(port))
    }
}
