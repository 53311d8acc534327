//! Other people's programs: grpcurl, buf, Python, Node and what is written for them.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use uuid::Uuid;

/// What a program said.
#[derive(Clone, Debug)]
pub struct Said {
    /// Whether it called it a success.
    pub success: bool,
    /// Its output.
    pub output: String,
    /// Its complaints.
    pub errors: String,
}

/// Runs a program, from `.tools/bin` of the repository or from the PATH, and waits for its end. A test that needs it fails
/// without it.
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
    let mut command = Command::new(find(name));
    let output = command.args(arguments).envs(env).current_dir(&folder).output().expect("the program runs");
    fs::remove_dir_all(&folder).expect("the folder can be removed");
    Said {
        success: output.status.success(),
        output: String::from_utf8_lossy(&output.stdout).into_owned(),
        errors: String::from_utf8_lossy(&output.stderr).into_owned(),
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
