//! A private RabbitMQ node: loopback only, with an epmd of its own, its data in the stack's folder.

mod cluster;
mod epmd;
mod setup;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use self::epmd::Epmd;
use crate::home::Home;
use crate::pki::Pki;
use crate::process::{Process, ProcessId};
use crate::secured::secure;
use crate::{log, port, wait};

/// How long it may take until it is ready, recovery included.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How long a node of a cluster may say nothing before it is taken for stuck, and how often one is started. RabbitMQ 3.10 on
/// Erlang 25 sometimes hangs for good, before it opens its database, when it joins again, and another start helps; later
/// versions work around hangs of Erlang's `global` like that (<https://github.com/rabbitmq/rabbitmq-server/pull/5438>).
const STUCK_LIMIT: Duration = Duration::from_secs(25);
const CLUSTER_TRIES: usize = 5;
/// How long it may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The first byte of the answer to a greeting in AMQP 0-9-1.
fn first_byte(mut stream: impl Read + Write) -> Result<u8> {
    stream.write_all(b"AMQP\x00\x00\x09\x01")?;
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Where Debian and RabbitMQ's own packages keep the script. The one in /usr/sbin is a wrapper for the system's node.
const SCRIPTS: [&str; 2] = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server"];

/// How to run it.
#[derive(Clone, Debug, Default)]
pub struct RabbitMqOptions {
    /// The AMQP port; none: any that is free.
    pub port: Option<u16>,
    /// Whether it speaks TLS alone, with these certificates, and takes none but their clients.
    pub tls: Option<Arc<Pki>>,
}

/// A private node. It ends with its [`Home`].
#[derive(Debug)]
pub struct RabbitMq {
    home: Arc<Home>,
    /// Of its folder and its log.
    name: String,
    script: PathBuf,
    ports: Ports,
    epmd: Arc<Epmd>,
    /// The AMQP ports of all nodes of its cluster, which are in their names too; none: it is alone.
    members: Vec<u16>,
    tls: Option<Arc<Pki>>,
    process: Mutex<Option<Process>>,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    /// Between Erlang nodes, which RabbitMQ's own tools are too.
    distribution: u16,
}

impl RabbitMq {
    /// Starts one in a folder of its own that goes with it: for tests that need nothing else.
    pub fn temporary() -> Result<Self> {
        Self::start(&Home::temporary("rabbitmq")?, RabbitMqOptions::default())
    }

    /// Starts one that keeps its data in `home`, and waits until it is ready.
    pub fn start(home: &Arc<Home>, options: RabbitMqOptions) -> Result<Self> {
        let mut node = Self { tls: options.tls, ..Self::at(home, "rabbitmq".to_owned())? };
        for attempt in 1.. {
            let amqp = options.port.map_or_else(port::free, Ok)?;
            node.ports = Ports { amqp, distribution: port::free()? };
            node.epmd = Arc::new(Epmd::new()?);
            match node.restart() {
                Ok(()) => break,
                Err(_) if attempt < 5 && node.port_was_taken(options.port) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(node)
    }

    /// One that does not run yet, in a folder of this name.
    fn at(home: &Arc<Home>, name: String) -> Result<Self> {
        let script = SCRIPTS.iter().map(PathBuf::from).find(|script| script.is_file());
        let script = script
            .context("RabbitMQ is not installed: apt-get install rabbitmq-server (`make up` does it)")?;
        Ok(Self {
            home: Arc::clone(home),
            name,
            script,
            ports: Ports { amqp: port::free()?, distribution: port::free()? },
            epmd: Arc::new(Epmd::new()?),
            members: Vec::new(),
            tls: None,
            process: Mutex::default(),
        })
    }

    /// What its log and its folder are called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The AMQP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// Its AMQP URL. The user is `guest`, who may come from this machine only.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "amqps" } else { "amqp" };
        format!("{scheme}://127.0.0.1:{}", self.ports.amqp)
    }

    /// Starts it again on the same ports, stopping it first where it runs, and waits until it is ready.
    /// Durable queues and their messages are kept.
    pub fn restart(&self) -> Result<()> {
        self.stop();
        let dir = self.configure()?;
        let log = self.log()?;
        self.epmd.start(&self.home, self.command(Path::new("epmd"), &dir))?;
        let tries = if self.members.is_empty() { 1 } else { CLUSTER_TRIES };
        for _ in 0..tries {
            if self.launch(&dir, &log)? {
                return Ok(());
            }
        }
        self.stop();
        bail!("RabbitMQ did not start on 127.0.0.1:{}\n{}", self.ports.amqp, log::tail(&log, 30))
    }

    /// Starts its process, and says whether it gets ready; kills it when it does not.
    fn launch(&self, dir: &Path, log: &Path) -> Result<bool> {
        let node = Process::spawn(self.server_command(dir), log)?;
        self.home.watch(&node, self.home.end_signal(Signal::TERM))?;
        let mut process = self.process();
        let node = process.insert(node);
        let length = || fs::metadata(log).map_or(0, |data| data.len());
        let mut progress = (length(), Instant::now());
        let is_stuck = |progress: &mut (u64, Instant)| {
            if progress.0 != length() {
                *progress = (length(), Instant::now());
            }
            !self.members.is_empty() && progress.1.elapsed() > STUCK_LIMIT
        };
        let ready =
            wait::until(READY_LIMIT, || self.is_ready() || !node.is_running() || is_stuck(&mut progress));
        if ready && node.is_running() && self.is_ready() {
            return Ok(true);
        }
        drop(process);
        self.kill();
        Ok(false)
    }

    /// Stops it, where it runs.
    pub fn stop(&self) {
        if let Some(mut node) = self.process().take() {
            node.signal_all(Signal::CONT);
            node.end(Signal::TERM, STOP_LIMIT);
            self.home.forget(&node);
        }
        if self.members.is_empty() {
            self.epmd.stop(&self.home);
        }
    }

    /// Kills it, as a crash would.
    pub fn kill(&self) {
        if let Some(mut node) = self.process().take() {
            node.kill();
            self.home.forget(&node);
        }
    }

    /// Stops its clockwork: connections stay open and nothing answers.
    pub fn freeze(&self) {
        if let Some(node) = self.process().as_mut() {
            node.signal_all(Signal::STOP);
        }
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        if let Some(node) = self.process().as_mut() {
            node.signal_all(Signal::CONT);
        }
    }

    /// Runs one of RabbitMQ's own tools (`rabbitmqctl`, `rabbitmq-queues`) against it and returns what it prints.
    pub fn control(&self, tool: &str, arguments: &[&str]) -> Result<String> {
        let mut command = self.command(self.script.with_file_name(tool).as_path(), &self.dir());
        let output = command.args(arguments).output().with_context(|| format!("run {tool}"))?;
        if !output.status.success() {
            bail!("{tool} {arguments:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The node's process, if it runs.
    #[must_use]
    pub fn id(&self) -> Option<ProcessId> {
        self.process().as_ref().map(Process::id)
    }

    /// The process of its epmd, if it runs.
    #[must_use]
    pub fn epmd_id(&self) -> Option<ProcessId> {
        self.epmd.id()
    }

    /// Its log.
    pub fn log(&self) -> Result<PathBuf> {
        Ok(self.home.logs()?.join(format!("{}.log", self.name)))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self) -> PathBuf {
        self.home.dir().join(&self.name)
    }

    /// Whether it answers as an AMQP 0-9-1 server: the listener opens last, when the node is up.
    fn is_ready(&self) -> bool {
        let greet = || -> Result<u8> {
            // It looks up the name of its host first, which on a busy machine takes seconds: asking again would only add to it.
            let limit = Duration::from_secs(20);
            let stream = TcpStream::connect_timeout(&port::loopback(self.ports.amqp), limit)?;
            stream.set_read_timeout(Some(limit))?;
            match &self.tls {
                Some(pki) => first_byte(secure(&pki.client(Some(&pki.files(&self.name)))?, stream)?),
                None => first_byte(stream),
            }
        };
        // 1: a METHOD frame, Connection.Start
        greet().is_ok_and(|frame_type| frame_type == 1)
    }

    /// Whether one of its ports is another's by now, and not one that the caller insists on.
    fn port_was_taken(&self, wanted: Option<u16>) -> bool {
        let Ports { amqp, distribution } = self.ports;
        [amqp, distribution, self.epmd.port()]
            .into_iter()
            .any(|port| Some(port) != wanted && !port::is_free(port))
    }
}
