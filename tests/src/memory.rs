//! What a process has taken up.

use std::fs;

use stack::Service;

/// The most memory that a service has had resident, in MiB (`VmHWM` of proc(5)).
#[must_use]
pub fn memory_mib(service: &Service) -> u64 {
    let pid = service.id().expect("it runs").pid();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("proc(5)");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("proc(5)");
    kib / 1024
}
