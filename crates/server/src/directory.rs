//! Where the replicas of another service are: every address of the hosts in its URLs, looked up again and again.
//!
//! What was found stays while lookups fail: an address that answers nobody is passed over, one that is forgotten is not even tried.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Weak},
    time::Duration,
};

use futures::future::{BoxFuture, join_all};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::{
    Dialer,
    replica::{Host, Replica, Url},
    replicas::Replicas,
};

/// Finds the addresses of a host, with its port: all of them.
pub type Lookup = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// How often names are looked up.
const INTERVAL: Duration = Duration::from_secs(5);
/// How soon again at the earliest, when a call reached no one.
const PACE: Duration = Duration::from_secs(1);
/// The most addresses of one host. Each gets a connection.
const MAX_ADDRESSES: usize = 256;

/// The lookup of the operating system: its files, and DNS.
pub(crate) fn of_the_system() -> Lookup {
    Arc::new(|host, port| Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) }))
}

/// The replicas behind `urls`, parted by commas. Their names are looked up until the replicas are dropped.
pub(crate) fn replicas(urls: &str, lookup: Lookup, dialer: &Dialer) -> anyhow::Result<Arc<Replicas>> {
    let urls = urls.split(',').map(|url| Url::parse(url.trim())).collect::<anyhow::Result<Vec<_>>>()?;
    let missed = Arc::new(Notify::new());
    let replicas = Arc::new(Replicas::new(Arc::clone(&missed)));
    let names = urls.iter().filter(|url| matches!(url.host(), Host::Name(..))).count();
    let entries: Vec<_> = urls.into_iter().map(Entry::new).collect();
    if names == 0 {
        publish(&replicas, &entries, dialer)?;
    } else {
        tokio::spawn(follow(Arc::downgrade(&replicas), entries, lookup, dialer.clone(), missed));
    }
    Ok(replicas)
}

/// One URL, and the addresses that its host has, in order.
struct Entry {
    url: Url,
    addresses: Vec<SocketAddr>,
    /// Whether the last lookup failed: only the first failure is worth a line.
    failed: bool,
}

impl Entry {
    fn new(url: Url) -> Self {
        let addresses = match url.host() {
            Host::Address(address) => vec![address],
            Host::Name(..) => Vec::new(),
        };
        Self { url, addresses, failed: false }
    }

    async fn look_up(&mut self, lookup: &Lookup) {
        let Host::Name(name, port) = self.url.host() else { return };
        let found = lookup(name.to_owned(), port).await;
        match found.and_then(|found| if found.is_empty() { Err(nothing()) } else { Ok(found) }) {
            Ok(found) => {
                self.failed = false;
                self.addresses = found;
                self.addresses.sort_unstable();
                self.addresses.dedup();
                self.addresses.truncate(MAX_ADDRESSES);
            }
            Err(error) if !self.failed => {
                self.failed = true;
                tracing::warn!(host = name, %error, "a service cannot be looked up; what was found before stays");
            }
            Err(_) => {}
        }
    }
}

fn nothing() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the host has no address")
}

/// Looks up until nobody has the replicas any more.
async fn follow(
    replicas: Weak<Replicas>,
    mut entries: Vec<Entry>,
    lookup: Lookup,
    dialer: Dialer,
    missed: Arc<Notify>,
) {
    loop {
        let begun = Instant::now();
        join_all(entries.iter_mut().map(|entry| entry.look_up(&lookup))).await;
        let Some(replicas) = replicas.upgrade() else { return };
        if let Err(error) = publish(&replicas, &entries, &dialer) {
            tracing::error!(error = format!("{error:#}"), "the addresses of a service make no sense");
        }
        drop(replicas);
        let soon = async {
            sleep_until(begun + PACE).await;
            missed.notified().await;
        };
        tokio::select! {
            () = soon => {}
            () = sleep_until(begun + INTERVAL) => {}
        }
    }
}

/// Makes what was found known. Replicas that are there already keep their connections.
fn publish(replicas: &Replicas, entries: &[Entry], dialer: &Dialer) -> anyhow::Result<()> {
    let known = replicas.known();
    let mut now = Vec::new();
    for entry in entries {
        for &address in &entry.addresses {
            let same = known.iter().find(|replica| replica.is(&entry.url, address));
            now.push(match same {
                Some(replica) => Arc::clone(replica),
                None => Arc::new(Replica::new(entry.url.clone(), address, dialer)?),
            });
        }
    }
    replicas.replace(now);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::sleep;

    use super::*;

    /// A lookup that answers the same each time, and how often it was asked.
    fn counted(answer: &'static [&'static str]) -> (Lookup, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        let lookup: Lookup = Arc::new(move |_, port| {
            counter.fetch_add(1, Ordering::Relaxed);
            let address = move |ip: &&str| SocketAddr::new(ip.parse().expect("an address"), port);
            Box::pin(async move { Ok(answer.iter().map(address).collect()) })
        });
        (lookup, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn names_are_looked_up_at_a_steady_pace_and_no_longer_than_somebody_calls() {
        let (lookup, asked) = counted(&["127.0.0.1"]);
        let replicas = replicas("http://catalog:1", lookup, &Dialer::default()).unwrap();
        sleep(INTERVAL * 3 + PACE).await;
        assert_eq!(asked.load(Ordering::Relaxed), 4);
        drop(replicas);
        sleep(INTERVAL * 3).await;
        assert_eq!(asked.load(Ordering::Relaxed), 4 + 1); // the one that found nobody left
    }

    #[tokio::test(start_paused = true)]
    async fn however_many_calls_fail_lookups_keep_their_pace() {
        let (lookup, asked) = counted(&["127.0.0.1"]);
        let missed = Arc::new(Notify::new());
        let replicas = Arc::new(Replicas::new(Arc::clone(&missed)));
        let entries = vec![Entry::new(Url::parse("http://catalog:1").unwrap())];
        let follow =
            follow(Arc::downgrade(&replicas), entries, lookup, Dialer::default(), Arc::clone(&missed));
        tokio::spawn(follow);
        let end = Instant::now() + PACE * 3 + PACE / 2;
        while Instant::now() < end {
            missed.notify_one();
            sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(asked.load(Ordering::Relaxed), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn every_address_is_one_replica_and_keeps_its_connection() {
        let (lookup, _) = counted(&["127.0.0.2", "127.0.0.1", "127.0.0.2"]);
        let replicas = replicas("http://127.0.0.9:1, http://catalog:1", lookup, &Dialer::default()).unwrap();
        sleep(PACE).await;
        let first = replicas.known();
        assert_eq!(first.len(), 3);
        sleep(INTERVAL * 2).await;
        let later = replicas.known();
        assert!(first.iter().zip(&later).all(|(one, other)| Arc::ptr_eq(one, other)));
        assert_eq!(later.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn addresses_are_not_looked_up() {
        let (lookup, asked) = counted(&["127.0.0.1"]);
        let replicas = replicas("http://127.0.0.1:1,http://[::1]:1", lookup, &Dialer::default()).unwrap();
        assert_eq!(replicas.known().len(), 2);
        sleep(INTERVAL * 2).await;
        assert_eq!(asked.load(Ordering::Relaxed), 0);
    }
}
