//! A private RabbitMQ node: loopback only, with an epmd of its own, its data in the stack's folder.

mod setup;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::Signal;

use crate::home::Home;
use crate::process::{Process, ProcessId};
use crate::{log, port, wait};

/// How long it may take until it is ready, recovery included.
const READY_LIMIT: Duration = Duration::from_secs(90);
/// How long it may take to stop before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Where Debian and RabbitMQ's own packages keep the script. The one in /usr/sbin is a wrapper for the system's node.
const SCRIPTS: [&str; 2] = ["/usr/lib/rabbitmq/bin/rabbitmq-server", "/opt/rabbitmq/sbin/rabbitmq-server"];

/// How to run it.
#[derive(Clone, Copy, Debug, Default)]
pub struct RabbitMqOptions {
    /// The AMQP port; none: any that is free.
    pub port: Option<u16>,
}

/// A private node. It ends with its [`Home`].
#[derive(Debug)]
pub struct RabbitMq {
    home: Arc<Home>,
    script: PathBuf,
    ports: Ports,
    processes: Mutex<Processes>,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    amqp: u16,
    /// Between Erlang nodes, which RabbitMQ's own tools are too.
    distribution: u16,
    /// Where nodes are found by name.
    epmd: u16,
}

#[derive(Debug, Default)]
struct Processes {
    node: Option<Process>,
    epmd: Option<Process>,
}

impl RabbitMq {
    /// Starts one in a folder of its own that goes with it: for tests that need nothing else.
    pub fn temporary() -> Result<Self> {
        Self::start(&Home::temporary("rabbitmq")?, RabbitMqOptions::default())
    }

    /// Starts one that keeps its data in `home`, and waits until it is ready.
    pub fn start(home: &Arc<Home>, options: RabbitMqOptions) -> Result<Self> {
        let script = SCRIPTS.iter().map(PathBuf::from).find(|script| script.is_file());
        let script = script
            .context("RabbitMQ is not installed: apt-get install rabbitmq-server (`make up` does it)")?;
        let ports = Ports { amqp: 0, distribution: 0, epmd: 0 };
        let mut node = Self { home: Arc::clone(home), script, ports, processes: Mutex::default() };
        for attempt in 1.. {
            let amqp = options.port.map_or_else(port::free, Ok)?;
            node.ports = Ports { amqp, distribution: port::free()?, epmd: port::free()? };
            match node.restart() {
                Ok(()) => break,
                Err(_) if attempt < 5 && node.port_was_taken(options.port) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(node)
    }

    /// The AMQP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.amqp
    }

    /// Its AMQP URL. The user is `guest`, who may come from this machine only.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://127.0.0.1:{}", self.ports.amqp)
    }

    /// Starts it again on the same ports, stopping it first where it runs, and waits until it is ready.
    /// Durable queues and their messages are kept.
    pub fn restart(&self) -> Result<()> {
        self.stop();
        let dir = self.configure()?;
        let log = self.log()?;
        let mut processes = self.processes();
        self.start_epmd(&mut processes)?;
        let node = Process::spawn(self.server_command(&dir), &log)?;
        self.home.watch(&node, self.home.end_signal(Signal::TERM))?;
        let node = processes.node.insert(node);
        let ready = wait::until(READY_LIMIT, || self.is_ready() || !node.is_running());
        if ready && node.is_running() {
            return Ok(());
        }
        drop(processes);
        self.kill();
        self.stop();
        bail!("RabbitMQ did not start on 127.0.0.1:{}\n{}", self.ports.amqp, log::tail(&log, 30))
    }

    /// Stops it, where it runs.
    pub fn stop(&self) {
        let mut processes = self.processes();
        if let Some(mut node) = processes.node.take() {
            node.signal_all(Signal::CONT);
            node.end(Signal::TERM, STOP_LIMIT);
            self.home.forget(&node);
        }
        // It would outlive its node.
        if let Some(mut epmd) = processes.epmd.take() {
            epmd.kill();
            self.home.forget(&epmd);
        }
    }

    /// Kills it, as a crash would.
    pub fn kill(&self) {
        if let Some(mut node) = self.processes().node.take() {
            node.kill();
            self.home.forget(&node);
        }
    }

    /// Stops its clockwork: connections stay open and nothing answers.
    pub fn freeze(&self) {
        if let Some(node) = self.processes().node.as_mut() {
            node.signal_all(Signal::STOP);
        }
    }

    /// Lets it go on after [`Self::freeze`].
    pub fn thaw(&self) {
        if let Some(node) = self.processes().node.as_mut() {
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
        self.processes().node.as_ref().map(Process::id)
    }

    /// The process of its epmd, if it runs.
    #[must_use]
    pub fn epmd_id(&self) -> Option<ProcessId> {
        self.processes().epmd.as_ref().map(Process::id)
    }

    /// Its log.
    pub fn log(&self) -> Result<PathBuf> {
        Ok(self.home.logs()?.join("rabbitmq.log"))
    }

    fn processes(&self) -> MutexGuard<'_, Processes> {
        self.processes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self) -> PathBuf {
        self.home.dir().join("rabbitmq")
    }

    /// Starts epmd in the foreground: so its number is known, and the node finds it instead of starting one.
    fn start_epmd(&self, processes: &mut Processes) -> Result<()> {
        let mut command = self.command(Path::new("epmd"), &self.dir());
        command.args(["-address", "127.0.0.1", "-port", &self.ports.epmd.to_string()]);
        let epmd = Process::spawn(command, &self.home.logs()?.join("epmd.log"))?;
        self.home.watch(&epmd, Signal::KILL)?;
        processes.epmd = Some(epmd);
        Ok(())
    }

    /// Whether it answers as an AMQP 0-9-1 server: the listener opens last, when the node is up.
    fn is_ready(&self) -> bool {
        let greet = || -> std::io::Result<u8> {
            let limit = Duration::from_secs(1);
            let mut stream = TcpStream::connect_timeout(&port::loopback(self.ports.amqp), limit)?;
            stream.set_read_timeout(Some(limit))?;
            stream.write_all(b"AMQP\x00\x00\x09\x01")?;
            let mut frame_type = [0];
            stream.read_exact(&mut frame_type)?;
            Ok(frame_type[0])
        };
        // 1: a METHOD frame, Connection.Start
        greet().is_ok_and(|frame_type| frame_type == 1)
    }

    /// Whether one of its ports is another's by now, and not one that the caller insists on.
    fn port_was_taken(&self, wanted: Option<u16>) -> bool {
        let Ports { amqp, distribution, epmd } = self.ports;
        [amqp, distribution, epmd].into_iter().any(|port| Some(port) != wanted && !port::is_free(port))
    }
}
