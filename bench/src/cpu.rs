//! What processes take: processor time and memory, from proc(5).

use std::collections::BTreeMap;
use std::fs;

use stack::Stack;

/// Ticks each second in /proc/PID/stat: USER_HZ, 100 on Linux whatever the kernel's own clock is.
const TICKS_PER_SECOND: f64 = 100.0;

/// Seconds of processor time that each part of a stack, and this program, have taken so far.
#[derive(Clone, Debug, Default)]
pub struct Usage(BTreeMap<String, f64>);

impl Usage {
    /// So far.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        let processes = all();
        let seconds =
            |pid: i32| tree(&processes, pid).map(|process| process.ticks).sum::<f64>() / TICKS_PER_SECOND;
        let mut parts = BTreeMap::new();
        for service in stack.services() {
            if let Some(id) = service.id() {
                *parts.entry(service.kind().name().to_owned()).or_default() += seconds(id.pid());
            }
        }
        let servers = [("postgres", stack.postgres().id()), ("rabbitmq", stack.rabbitmq().id())];
        for (name, id) in servers {
            if let Some(id) = id {
                parts.insert(name.to_owned(), seconds(id.pid()));
            }
        }
        let own = i32::try_from(std::process::id()).unwrap_or_default();
        let generator = processes.get(&own).map_or(0.0, |process| process.own_ticks / TICKS_PER_SECOND);
        parts.insert("generator".to_owned(), generator);
        Self(parts)
    }

    /// Microseconds that each part has taken since `before`, for each of so many actions.
    #[must_use]
    pub fn micros_each_since(&self, before: &Self, actions: u64) -> Vec<(String, f64)> {
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let actions = actions.max(1) as f64;
        let since = |name: &str| before.0.get(name).copied().unwrap_or_default();
        self.0.iter().map(|(name, all)| (name.clone(), (all - since(name)) * 1e6 / actions)).collect()
    }
}

/// Ticks of processor time that this program, and all that it started and is there, have taken.
#[must_use]
pub fn own_ticks() -> f64 {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    tree(&all(), own).map(|process| process.ticks).sum()
}

/// Memory of a process, in MB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// What is resident.
    pub resident_mb: f64,
    /// The most that was.
    pub peak_mb: f64,
}

impl Memory {
    /// Now; none if there is no such process.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: f64 = line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().ok()?;
            Some(kib * 1024.0 / 1e6)
        };
        Some(Self { resident_mb: value("VmRSS")?, peak_mb: value("VmHWM")? })
    }
}

/// A process, as /proc/PID/stat has it.
struct Stat {
    parent: i32,
    own_ticks: f64,
    /// With those of its children that have ended.
    ticks: f64,
}

fn all() -> BTreeMap<i32, Stat> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, stat(pid)?))).collect()
}

fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; fields count from 3 after it.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    let own_ticks = number(14)? + number(15)?;
    let parent = fields.get(1)?.parse().ok()?;
    Some(Stat { parent, own_ticks, ticks: own_ticks + number(16)? + number(17)? })
}

/// A process, its children, their children and so on.
fn tree(processes: &BTreeMap<i32, Stat>, root: i32) -> impl Iterator<Item = &Stat> {
    let mut found = vec![root];
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        found.extend(processes.iter().filter(|(_, stat)| stat.parent == parent).map(|(pid, _)| *pid));
        next += 1;
    }
    found.into_iter().filter_map(|pid| processes.get(&pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_there_and_takes_something() {
        let own = i32::try_from(std::process::id()).expect("it is a number");
        let processes = all();
        assert!(tree(&processes, own).count() >= 1);
        let memory = Memory::of(own).expect("it runs");
        assert!(memory.resident_mb > 0.0 && memory.peak_mb >= memory.resident_mb);
    }
}
