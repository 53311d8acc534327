//! Finds the services' programs, which cargo built beside whatever runs now.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Context, Result, ensure};

/// The programs that were compared with their sources.
static LOOKED_AT: LazyLock<Mutex<HashSet<PathBuf>>> = LazyLock::new(Mutex::default);

/// The path of one of the workspace's programs: in the folder `HOLDFAST_BIN_DIR` if that is set, else in the target
/// folder that the current program comes from (`target/debug` for a test in `target/debug/deps`).
pub fn binary(name: &str) -> Result<PathBuf> {
    let dir = match env::var_os("HOLDFAST_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => beside(&env::current_exe().context("find the current program")?),
    };
    let path = dir.join(name);
    ensure!(path.is_file(), "{} is missing: build it with `{}`", path.display(), build_command(&dir));
    let mut looked_at = LOOKED_AT.lock().unwrap_or_else(PoisonError::into_inner);
    if looked_at.insert(path.clone())
        && let Some(source) = newer_source(&path)
    {
        eprintln!(
            "note: {} is older than {source}: `{}` builds it anew",
            path.display(),
            build_command(&dir)
        );
    }
    Ok(path)
}

fn beside(program: &Path) -> PathBuf {
    let dir = program.parent().unwrap_or(Path::new("."));
    match (dir.file_name().and_then(|name| name.to_str()), dir.parent()) {
        (Some("deps" | "examples"), Some(parent)) => parent.to_owned(),
        _ => dir.to_owned(),
    }
}

fn build_command(dir: &Path) -> &'static str {
    // With all targets, dependencies get the features that they have in tests: nothing is built twice.
    if dir.ends_with("release") {
        "cargo build --workspace --bins --release"
    } else {
        "cargo build --workspace --all-targets --features failpoints"
    }
}

/// The first source that changed after the program was built, by cargo's list of sources beside it.
fn newer_source(program: &Path) -> Option<String> {
    let built = fs::metadata(program).and_then(|data| data.modified()).ok()?;
    let list = fs::read_to_string(program.with_extension("d")).ok()?;
    let sources = list.split_once(": ")?.1.split_whitespace();
    sources
        .filter(|source| Path::new(source).extension().is_some_and(|end| end == "rs"))
        .find(|source| fs::metadata(source).and_then(|data| data.modified()).is_ok_and(|time| time > built))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_looked_for_in_the_folder_of_the_profile() {
        assert_eq!(beside(Path::new("/w/target/debug/deps/system-1a2b")), Path::new("/w/target/debug"));
        assert_eq!(beside(Path::new("/w/target/release/holdfast")), Path::new("/w/target/release"));
    }

    #[test]
    fn a_missing_program_is_reported_with_the_command_that_builds_it() {
        let error = binary("no-such-program").expect_err("is not there").to_string();
        assert!(error.contains("cargo build --workspace --all-targets --features failpoints"), "{error}");
    }
}
