//! The record of what `holdfast up` left running: written by it, read by every other command.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use stack::{ProcessId, Stack};

use crate::ports::PortOptions;

/// What runs and where.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Running {
    /// Where it listens.
    pub(crate) ports: PortOptions,
    /// Whether callers have to say who they are.
    #[serde(default)]
    pub(crate) auth: bool,
    /// In the order in which it was started.
    pub(crate) members: Vec<Member>,
}

/// One process.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Member {
    /// As people know it.
    pub(crate) name: String,
    /// Its process.
    pub(crate) id: ProcessId,
    /// What ends it.
    pub(crate) kind: MemberKind,
}

/// What a process is.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) enum MemberKind {
    /// PostgreSQL.
    Postgres,
    /// RabbitMQ's epmd.
    Epmd,
    /// RabbitMQ.
    RabbitMq,
    /// A service of Holdfast.
    Service,
}

impl Running {
    /// The record of a stack that is up.
    pub(crate) fn of(stack: &Stack, ports: PortOptions, auth: bool) -> Self {
        let mut members = Vec::new();
        let mut add = |name: &str, id: Option<ProcessId>, kind: MemberKind| {
            members.extend(id.map(|id| Member { name: name.to_owned(), id, kind }));
        };
        add("postgres", stack.postgres().id(), MemberKind::Postgres);
        add("epmd", stack.rabbitmq().epmd_id(), MemberKind::Epmd);
        add("rabbitmq", stack.rabbitmq().id(), MemberKind::RabbitMq);
        for service in stack.services() {
            add(&service.name(), service.id(), MemberKind::Service);
        }
        Self { ports, auth, members }
    }

    /// Reads the record; none when nothing was left running.
    pub(crate) fn load(home: &Path) -> Result<Option<Self>> {
        let path = path(home);
        let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
        serde_json::from_str(&text).map(Some).with_context(|| format!("{} makes no sense", path.display()))
    }

    /// Reads the record, or says how to start.
    pub(crate) fn require(home: &Path) -> Result<Self> {
        Self::load(home)?.context("Holdfast is not running: `make up` starts it")
    }

    /// Writes the record.
    pub(crate) fn save(&self, home: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("write down what runs")?;
        let draft = home.join("running.new");
        fs::write(&draft, text).with_context(|| format!("write {}", draft.display()))?;
        fs::rename(&draft, path(home)).context("write down what runs")
    }

    /// Forgets what ran.
    pub(crate) fn remove(home: &Path) -> Result<()> {
        match fs::remove_file(path(home)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(error).context("forget what ran")
            }
            _ => Ok(()),
        }
    }

    /// The members whose process has ended.
    pub(crate) fn ended(&self) -> Vec<&Member> {
        self.members.iter().filter(|member| !member.id.is_running()).collect()
    }
}

fn path(home: &Path) -> PathBuf {
    home.join("running.json")
}

/// Keeps two commands from starting and stopping at the same time, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "held for its lock")] File);

impl Turn {
    /// Takes the turn, or says that another command has it.
    pub(crate) fn take(home: &Path) -> Result<Self> {
        fs::create_dir_all(home).with_context(|| format!("create {}", home.display()))?;
        let lock = File::create(home.join("lock")).context("create the lock file")?;
        match lock.try_lock() {
            Ok(()) => Ok(Self(lock)),
            Err(TryLockError::WouldBlock) => {
                bail!("another `make up` or `make down` is at work here: wait for it, then try again")
            }
            Err(TryLockError::Error(error)) => Err(error).context("lock the lock file"),
        }
    }
}
