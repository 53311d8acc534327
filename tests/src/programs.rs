//! Other people's programs: grpcurl, buf, Python, Node and what is written for them.

use std::{
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use uuid::Uuid;

/// How long a program may take, in seconds; then it is ended, with all that it started.
const LIMIT: &str = "300";
/// The exit code of `timeout` (of coreutils) for a program that took longer.
const TOO_LATE: i32 = 124;

/// What a program said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it called it a success.
    pub success: bool,
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its output.
    pub output: String,
    /// Its complaints.
    pub errors: String,
}

impl Said {
    /// Whether it said so on standard error or, once it had a log, there.
    #[must_use]
    pub fn anywhere(&self, text: &str) -> bool {
        self.errors.contains(text) || self.output.contains(text)
    }
}

/// Says something to whoever runs the tests, also where the output of tests that pass is not shown.
pub fn tell(text: &str) {
    // Not by a macro: those are caught. Nothing hangs on it.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Runs a program, from `.tools/bin` of the repository or from the PATH, and waits for its end, for 5 minutes at most. A test
/// that needs it fails without it.
#[must_use]
pub fn program(name: &str, arguments: &[&str]) -> Said {
    program_with(name, arguments, &[])
}

/// The same, with further environment variables; in a folder of its own, which goes with all that it leaves there.
#[must_use]
pub fn program_with(name: &str, arguments: &[&str], env: &[(&str, String)]) -> Said {
    let folder = env::temp_dir().join(format!("holdfast-{}", Uuid::new_v4()));
    fs::create_dir(&folder).expect("a folder can be made");
    let env = env.iter().map(|(name, value)| (*name, value.as_str()));
    let mut command = Command::new("timeout");
    let command = command.args(["--kill-after=5", LIMIT]).arg(find(name)).args(arguments).envs(env);
    let output = command.current_dir(&folder).output().expect("the program runs");
    fs::remove_dir_all(&folder).expect("the folder can be removed");
    let late = if output.status.code() == Some(TOO_LATE) { "ended: it took too long\n" } else { "" };
    Said {
        success: output.status.success(),
        code: output.status.code(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: format!("{late}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn find(name: &str) -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.tools/bin");
    let path = env::var_os("PATH").unwrap_or_default();
    let places = [tools].into_iter().chain(env::split_paths(&path));
    let found = places.map(|place| place.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| {
        panic!("{name} is missing: `scripts/install.sh tools clients kubernetes` installs it")
    })
}
