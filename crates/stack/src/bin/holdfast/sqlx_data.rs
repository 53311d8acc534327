//! `holdfast sqlx`: writes what the sqlx macros learn from a database, so that builds need none; or checks it.
//!
//! The macros write one file per query into `SQLX_OFFLINE_DIR` when they have a `DATABASE_URL`. So a compiler run with
//! both against a freshly migrated database makes the data. It must be a run that really expands the macros: cargo does
//! not know that they depend on a database. Therefore the package is compiled under a profile setting of its own (which
//! leaves all other artefacts as they are), and what that leaves behind is deleted, so that the next run starts anew.

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::output::line;
use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use serde_json::{Deserializer, Value};
use stack::{Postgres, Schema};

/// What to do with the data.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(crate) enum Action {
    /// Writes services/*/.sqlx anew.
    Prepare,
    /// Fails when services/*/.sqlx is not what the queries and the migrations make.
    Check,
}

/// The files of one service: names and contents.
type Data = BTreeMap<String, String>;

/// Makes the data of both services and writes or compares it.
pub(crate) fn run(action: Action) -> Result<()> {
    let postgres = Postgres::temporary()?;
    let mut stale = Vec::new();
    for schema in Schema::ALL {
        let service = Path::new("services").join(schema.name());
        ensure!(service.is_dir(), "no {} here: run this at the top of the workspace", service.display());
        let made = make(schema, &postgres.fresh(schema)?)?;
        let dir = service.join(".sqlx");
        let committed = read(&dir)?;
        line(format_args!("{}: {} queries", dir.display(), made.len()));
        match action {
            _ if made == committed => {}
            Action::Prepare => write(&service, &dir, &made)?,
            Action::Check => stale.extend(differences(&dir, &committed, &made)),
        }
    }
    ensure!(
        stale.is_empty(),
        "the data of the sqlx macros is stale; `make sqlx` renews it:\n{}",
        stale.join("\n")
    );
    Ok(())
}

/// Compiles a service against a database and returns what its macros wrote.
fn make(schema: Schema, database_url: &str) -> Result<Data> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let dir = env::current_dir()?.join(target).join("sqlx").join(schema.name());
    for _ in 0..2 {
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        if compile(schema, database_url, &dir)? {
            return read(&dir);
        }
    }
    bail!("cargo does not compile {} anew", schema.name())
}

/// Runs `cargo check`; says whether all of the package was really compiled.
fn compile(schema: Schema, database_url: &str, dir: &Path) -> Result<bool> {
    let package = schema.name();
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args([
        "check",
        "--all-targets",
        "--message-format",
        "json-render-diagnostics",
        "--package",
        package,
    ]);
    cargo.arg("--config").arg(format!("profile.dev.package.{package}.codegen-units=255"));
    cargo.env("DATABASE_URL", database_url).env("SQLX_OFFLINE", "false").env("SQLX_OFFLINE_DIR", dir);
    let mut running = cargo.stdout(Stdio::piped()).spawn().context("run cargo")?;
    let messages = running.stdout.take().context("read what cargo says")?;
    let mut anew = true;
    let mut made = Vec::new();
    for message in Deserializer::from_reader(BufReader::new(messages)).into_iter::<Value>() {
        let message = message.context("read what cargo says")?;
        if message["reason"] == "compiler-artifact" && is_of(&message, package) {
            anew &= message["fresh"] == false;
            let files = message["filenames"].as_array().into_iter().flatten();
            made.extend(files.filter_map(Value::as_str).map(str::to_owned));
        }
    }
    let succeeded = running.wait().context("wait for cargo")?.success();
    for file in made {
        // One that stays makes the next run start over.
        let _ = fs::remove_file(file);
    }
    ensure!(succeeded, "{package} does not compile against its migrated database");
    Ok(anew)
}

fn is_of(artifact: &Value, package: &str) -> bool {
    let manifest = artifact["manifest_path"].as_str().unwrap_or_default();
    Path::new(manifest).ends_with(Path::new("services").join(package).join("Cargo.toml"))
        && artifact["target"]["kind"] != serde_json::json!(["custom-build"])
}

fn read(dir: &Path) -> Result<Data> {
    let mut data = Data::new();
    let Ok(entries) = fs::read_dir(dir) else { return Ok(data) };
    for entry in entries {
        let entry = entry?;
        let text =
            fs::read_to_string(entry.path()).with_context(|| format!("read {}", entry.path().display()))?;
        data.insert(entry.file_name().to_string_lossy().into_owned(), text);
    }
    Ok(data)
}

fn write(service: &Path, dir: &Path, data: &Data) -> Result<()> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
    for (name, text) in data {
        fs::write(dir.join(name), text).with_context(|| format!("write {name}"))?;
    }
    // Cargo does not know either that the macros read these files.
    let root = service.join("src/lib.rs");
    let now = std::time::SystemTime::now();
    let file =
        File::options().append(true).open(&root).with_context(|| format!("open {}", root.display()))?;
    file.set_modified(now).with_context(|| format!("touch {}", root.display()))
}

/// One line for each query that is missing, superfluous or described otherwise.
fn differences(dir: &Path, committed: &Data, made: &Data) -> Vec<String> {
    let query = |text: &str| {
        let parsed: Value = serde_json::from_str(text).unwrap_or_default();
        let sql =
            parsed["query"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        sql.chars().take(90).collect::<String>()
    };
    let mut lines = Vec::new();
    for (name, text) in made.iter().filter(|(name, text)| committed.get(*name) != Some(*text)) {
        let what = if committed.contains_key(name) { "outdated" } else { "missing" };
        lines.push(format!("  {what} in {}: {}", dir.display(), query(text)));
    }
    let unused = committed.iter().filter(|(name, _)| !made.contains_key(*name));
    lines.extend(unused.map(|(_, text)| format!("  unused in {}: {}", dir.display(), query(text))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_outdated_and_unused_queries_are_named() {
        let data = |entries: &[(&str, &str)]| -> Data {
            entries.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
        };
        let committed = data(&[("a", r#"{"query":"select 1"}"#), ("b", r#"{"query":"select\n  2"}"#)]);
        let made =
            data(&[("b", r#"{"query":"select\n  2","describe":{}}"#), ("c", r#"{"query":"select 3"}"#)]);
        let expected = ["  outdated in d: select 2", "  missing in d: select 3", "  unused in d: select 1"];
        assert_eq!(differences(Path::new("d"), &committed, &made), expected);
        assert!(differences(Path::new("d"), &made, &made).is_empty());
    }
}
