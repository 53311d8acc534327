//! Whether the processes are the same as before, no bigger, and have nothing to complain about.

use std::fs;

use stack::{ProcessId, Stack};

/// The processes of a stack at one moment.
#[derive(Clone, Debug)]
pub struct Vitals(Vec<(String, ProcessId, u64)>);

impl Vitals {
    /// Of the services now.
    #[must_use]
    pub fn of(stack: &Stack) -> Self {
        let vitals = stack.services().iter().map(|service| {
            let id = service.id().unwrap_or_else(|| panic!("{} is gone", service.name()));
            assert!(service.is_running(), "{} is gone", service.name());
            (service.name(), id, resident_mib(id.pid()))
        });
        Self(vitals.collect())
    }

    /// The same processes as `before`, none of which has grown by more than so many MiB.
    pub fn assert_like(&self, before: &Self, growth_mib: u64) {
        for ((name, id, now), (_, old_id, old)) in self.0.iter().zip(&before.0) {
            assert_eq!(id, old_id, "{name} was restarted");
            assert!(*now <= old + growth_mib, "{name} has grown from {old} to {now} MiB");
        }
    }
}

impl std::fmt::Display for Vitals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(name, _, resident)| write!(f, "{name} {resident} MiB  "))
    }
}

/// The memory that a process has in use (proc(5)).
fn resident_mib(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().expect("a number of KiB");
    kib / 1024
}
