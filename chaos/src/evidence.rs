//! What is kept of a run: the report always; logs and histories when something is wrong.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::PathBuf;

use anyhow::{Context, Result};
use stack::Stack;

use crate::history::Life;
use crate::options::Options;
use crate::report::Report;
use crate::site::Site;

/// How many defects of a service are told.
const TOLD: usize = 20;

/// What services logged that must not happen.
pub(crate) fn defects(stack: &Stack) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for service in stack.services() {
        let path = service.log()?;
        let log = File::open(&path).with_context(|| format!("open {}", path.display()))?;
        let lines = BufReader::new(log).lines().map_while(Result::ok);
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

/// Keeps what is to be kept, and says where.
pub(crate) fn keep(options: &Options, site: &Site, report: &Report, lives: &[Life]) -> Result<()> {
    let folder = folder(options, report.seed)?;
    let path = folder.join("report.json");
    fs::write(&path, serde_json::to_vec_pretty(report)?)
        .with_context(|| format!("write {}", path.display()))?;
    println!("report: {}", path.display());
    if !report.is_sound() {
        keep_logs(options, report.seed, site)?;
        let mut histories = BufWriter::new(File::create(folder.join("histories.jsonl"))?);
        for life in lives {
            serde_json::to_writer(&mut histories, life)?;
            histories.write_all(b"\n")?;
        }
        histories.flush()?;
        println!("histories: {}", folder.join("histories.jsonl").display());
    }
    Ok(())
}
