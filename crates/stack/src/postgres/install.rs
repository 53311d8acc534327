//! Where PostgreSQL's programs are, and whom they may run as.

use std::env;
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// PostgreSQL's programs, and the account they run under.
#[derive(Clone, Debug)]
pub(crate) struct Install {
    bin: PathBuf,
    account: Option<Account>,
}

/// The account of the servers when we are root: PostgreSQL refuses to run as root.
#[derive(Clone, Copy, Debug)]
struct Account {
    uid: u32,
    gid: u32,
}

impl Install {
    /// Finds the programs: those of `version` where a cluster exists already, else the newest.
    pub(crate) fn find(version: Option<&str>) -> Result<Self> {
        let bin = match version {
            Some(version) => candidates().into_iter().find(|bin| major(bin).as_deref() == Some(version)),
            None => candidates().into_iter().next(),
        };
        let wanted = version.map(|version| format!(" {version}")).unwrap_or_default();
        let bin = bin.with_context(|| {
            format!("PostgreSQL{wanted} is not installed: apt-get install postgresql (`make up` does it)")
        })?;
        let account =
            if rustix::process::getuid().is_root() { Some(Account::find("postgres")?) } else { None };
        Ok(Self { bin, account })
    }

    /// A command that runs one of the programs under the right account.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir("/").env_clear().env("LC_ALL", "C.UTF-8").env("PATH", "/usr/bin:/bin");
        if let Some(Account { uid, gid }) = self.account {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Gives a file to the account.
    pub(super) fn give(&self, file: &Path) -> Result<()> {
        let Some(Account { uid, gid }) = self.account else { return Ok(()) };
        chown(file, Some(uid), Some(gid)).with_context(|| format!("give {} to postgres", file.display()))
    }

    /// Makes a folder for the account, and says whether the account can reach it.
    pub(crate) fn prepare(&self, dir: &Path) -> Result<bool> {
        fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let Some(Account { uid, gid }) = self.account else { return Ok(true) };
        chown(dir, Some(uid), Some(gid)).with_context(|| format!("give {} to postgres", dir.display()))?;
        let status = Command::new("test").arg("-w").arg(dir).current_dir("/").uid(uid).gid(gid).status();
        Ok(status.context("run test(1)")?.success())
    }
}

impl Account {
    fn find(name: &str) -> Result<Self> {
        let accounts = fs::read_to_string("/etc/passwd").context("read /etc/passwd")?;
        for line in accounts.lines() {
            if let [user, _, uid, gid, ..] = line.split(':').collect::<Vec<_>>()[..]
                && user == name
            {
                return Ok(Self { uid: uid.parse()?, gid: gid.parse()? });
            }
        }
        bail!(
            "PostgreSQL cannot run as root, and there is no account `{name}`; installing postgresql makes it"
        )
    }
}

/// The path of one of PostgreSQL's programs.
pub fn postgres_program(name: &str) -> Result<PathBuf> {
    Ok(Install::find(None)?.bin.join(name))
}

/// Folders with the programs: Debian's, the newest version first, then those of PATH.
fn candidates() -> Vec<PathBuf> {
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .collect();
    debian.sort_by_key(|bin| std::cmp::Reverse(major(bin).and_then(|version| version.parse::<u32>().ok())));
    let path = env::var_os("PATH").unwrap_or_default();
    debian.extend(env::split_paths(&path));
    debian.retain(|bin| ["initdb", "postgres"].iter().all(|program| bin.join(program).is_file()));
    debian
}

/// The major version of the programs in a folder, as in `PG_VERSION`.
fn major(bin: &Path) -> Option<String> {
    let output = Command::new(bin.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    // "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"
    Some(text.split_whitespace().nth(2)?.split('.').next()?.to_owned())
}
