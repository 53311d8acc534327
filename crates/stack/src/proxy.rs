//! A TCP proxy that breaks the link it carries: cut, held up, slowed down, or deaf in one direction.
//!
//! It knows nothing of what it carries. All proxies of a process share one thread; the calls here block for a moment at most.

mod carry;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::port;

/// The thread of all proxies. It lives as long as the process: a stack may end inside another runtime.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).thread_name("proxies").enable_all();
    builder.build().expect("a thread can be started")
});

/// What a proxy does to its link.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Weather {
    /// Carries everything.
    #[default]
    Fair,
    /// Resets every connection, and each new one at once: the other side is gone.
    Cut,
    /// Carries nothing, and later everything that came meanwhile: what was given up for lost arrives after all.
    Stalled,
    /// Carries everything so much later, in both directions.
    Slow(Duration),
    /// Carries what the caller says and throws away the answers. Its connections are reset when the weather changes: work
    /// was done, and nobody heard of it.
    Deaf,
}

/// A proxy on a loopback port of its own. It ends, with its connections, when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    connections: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Starts one in front of `upstream`, which need not be there yet.
    pub fn start(upstream: SocketAddr) -> Result<Self> {
        let (port, listener) = bind()?;
        let (weather, forecast) = watch::channel(Weather::Fair);
        let connections = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&connections);
        let listening = RUNTIME.spawn(async move {
            loop {
                // An accept fails when the peer has gone again, or when there are no descriptors: others may be closed.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    continue;
                };
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry::connection(stream, upstream, forecast.clone()));
            }
        });
        Ok(Self { port, weather, connections, listening })
    }

    /// Its port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it does now.
    #[must_use]
    pub fn weather(&self) -> Weather {
        *self.weather.borrow()
    }

    /// Does this from now on.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many connections it has accepted.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Its connections see that their proxy is gone: the sender is dropped with it.
        self.listening.abort();
    }
}

/// A listener on a port that outgoing connections never get.
fn bind() -> Result<(u16, TcpListener)> {
    for _ in 0..5 {
        let port = port::free()?;
        if let Ok(listener) = std::net::TcpListener::bind(port::loopback(port)) {
            listener.set_nonblocking(true).context("prepare the listener")?;
            let _runtime = RUNTIME.enter();
            return Ok((port, TcpListener::from_std(listener).context("hand over the listener")?));
        }
    }
    bail!("no port could be bound")
}

#[cfg(test)]
mod tests;
