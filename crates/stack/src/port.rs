//! TCP ports that nobody uses.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{LazyLock, Mutex, PoisonError};

use anyhow::{Result, bail};
use uuid::Uuid;

/// Ports handed out by this process, so that none is handed out twice before it is bound.
static TAKEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// An address on the loopback interface.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Whether nobody listens on the port (and we may).
#[must_use]
pub fn is_free(port: u16) -> bool {
    TcpListener::bind(loopback(port)).is_ok()
}

/// A free port below those that the kernel gives to outgoing connections: so a server can be restarted on it, and a
/// client that reconnects while the server is away cannot end up connected to itself.
///
/// It is free now; another process may be faster to use it, so whoever binds it must be ready to try another.
pub fn free() -> Result<u16> {
    let range = 10_000..ephemeral_start().max(12_000);
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1_000 {
        let spread = Uuid::new_v4().as_u128() % u128::from(range.end - range.start);
        let port = range.start + u16::try_from(spread)?;
        if is_free(port) && taken.insert(port) {
            return Ok(port);
        }
    }
    bail!("no free port between {} and {}", range.start, range.end)
}

/// Who listens on a port, as "name (process 123)", where we may know.
#[must_use]
pub fn user(port: u16) -> Option<String> {
    let sockets =
        ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inode = sockets.iter().flat_map(|table| table.lines()).find_map(|line| listener(line, port))?;
    let socket = format!("socket:[{inode}]");
    for process in fs::read_dir("/proc").ok()?.flatten() {
        if process.file_name().to_str()?.parse::<u32>().is_err() {
            continue;
        }
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        if files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| *file == *socket) {
            let name = fs::read_to_string(process.path().join("comm")).ok()?;
            return Some(format!("{} (process {})", name.trim(), process.file_name().display()));
        }
    }
    None
}

/// The inode of a listening socket on the port, from a line of `/proc/net/tcp` (proc(5)).
fn listener(line: &str, port: u16) -> Option<&str> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let listens = fields.get(3) == Some(&"0A");
    let here = fields.get(1)?.rsplit_once(':')?.1 == format!("{port:04X}");
    (listens && here).then(|| fields.get(9).copied()).flatten()
}

/// The first port that Linux gives to outgoing connections (ip(7), `ip_local_port_range`).
fn ephemeral_start() -> u16 {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    range.split_whitespace().next().and_then(|port| port.parse().ok()).unwrap_or(32_768)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ_and_can_be_bound() {
        let ports: HashSet<u16> = (0..50).map(|_| free().expect("a port is free")).collect();
        assert_eq!(ports.len(), 50);
        assert!(ports.into_iter().all(is_free));
    }

    #[test]
    fn who_listens_is_known() {
        let listener = TcpListener::bind(loopback(0)).expect("a port is free");
        let port = listener.local_addr().expect("is bound").port();
        assert!(!is_free(port));
        let user = user(port).expect("it is us");
        assert!(user.contains(&std::process::id().to_string()), "{user}");
    }
}
