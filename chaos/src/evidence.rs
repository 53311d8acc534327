//! What is kept of a run: the report and the faults always; histories, logs and databases when something is wrong.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use stack::Stack;

use crate::fault::Happened;
use crate::history::Life;
use crate::options::Options;
use crate::report::Report;
use crate::site::Site;

/// How many defects of a service are told.
const TOLD: usize = 20;
/// Names of files.
const HISTORIES: &str = "histories.jsonl";
const FAULTS: &str = "faults.json";

/// What services logged that must not happen.
pub(crate) fn defects(stack: &Stack) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for service in stack.services() {
        let path = service.log()?;
        let log = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let lines = BufReader::new(log).split(b'\n').map_while(Result::ok);
        let lines = lines.map(|line| String::from_utf8_lossy(&line).into_owned());
        // lapin calls it an error that a connection was lost.
        let defect = |line: &String| {
            line.contains(" ERROR ") && !line.contains("lapin::") || line.contains("panicked")
        };
        found.extend(lines.filter(defect).take(TOLD).map(|line| format!("{}: {line}", service.name())));
    }
    Ok(found)
}

/// Where a run's evidence is kept.
fn folder(options: &Options, seed: u64) -> Result<PathBuf> {
    let folder = options.folder.join(format!("seed-{seed}"));
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    Ok(folder)
}

/// Keeps the logs of everything, and says where.
pub(crate) fn keep_logs(options: &Options, seed: u64, site: &Site) -> Result<()> {
    let logs = folder(options, seed)?.join("logs");
    let _ = fs::remove_dir_all(&logs);
    fs::create_dir_all(&logs)?;
    for entry in fs::read_dir(site.stack().home().logs()?)? {
        let entry = entry?;
        fs::copy(entry.path(), logs.join(entry.file_name()))?;
    }
    println!("logs: {}", logs.display());
    Ok(())
}

/// Keeps what clients saw and what was broken when: before the proof, which may not come to its end.
pub(crate) fn keep_seen(options: &Options, seed: u64, lives: &[Life], faults: &[Happened]) -> Result<()> {
    let folder = folder(options, seed)?;
    fs::write(folder.join(FAULTS), serde_json::to_vec_pretty(faults)?)?;
    let mut histories = BufWriter::new(File::create(folder.join(HISTORIES))?);
    for life in lives {
        serde_json::to_writer(&mut histories, life)?;
        histories.write_all(b"\n")?;
    }
    Ok(histories.flush()?)
}

/// Keeps the report, and all else when something is wrong; says where.
pub(crate) fn keep(options: &Options, site: &Site, report: &Report) -> Result<()> {
    let folder = folder(options, report.seed)?;
    let path = folder.join("report.json");
    fs::write(&path, serde_json::to_vec_pretty(report)?)
        .with_context(|| format!("write {}", path.display()))?;
    println!("report: {}", path.display());
    if report.is_sound() {
        // Of a long run they are large.
        fs::remove_file(folder.join(HISTORIES))?;
        return Ok(());
    }
    println!("histories and faults: {}", folder.display());
    keep_logs(options, report.seed, site)?;
    keep_data(options, report.seed, site)
}

/// Keeps everything of a run that did not come to its end.
pub(crate) fn keep_all(
    options: &Options,
    seed: u64,
    site: &Site,
    error: &anyhow::Error,
    lives: &[Life],
    faults: &[Happened],
) -> Result<()> {
    let folder = folder(options, seed)?;
    fs::write(folder.join("error.txt"), format!("{error:?}\n"))?;
    // None are left when they have been kept before the proof.
    if !lives.is_empty() {
        keep_seen(options, seed, lives, faults)?;
    }
    println!("error, histories and faults: {}", folder.display());
    keep_logs(options, seed, site)?;
    keep_data(options, seed, site)
}

/// Keeps the data of every PostgreSQL server as a crash leaves it: the end of the servers.
fn keep_data(options: &Options, seed: u64, site: &Site) -> Result<()> {
    let servers = site
        .stack()
        .postgres_pair()
        .map_or_else(|| std::slice::from_ref(site.stack().postgres()), |pair| pair.servers().as_slice());
    for server in servers {
        server.kill();
        let copy = folder(options, seed)?.join(server.name());
        let _ = fs::remove_dir_all(&copy);
        let copied = Command::new("cp").arg("-a").arg(server.data()).arg(&copy).status().context("run cp")?;
        ensure!(copied.success(), "{} could not be copied", server.data().display());
        println!("data of {}: {}", server.name(), copy.display());
    }
    Ok(())
}
