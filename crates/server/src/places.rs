//! Places for connections: a limited number of them, fairly shared by where connections come from (of IPv6 that is a network of 64
//! bits: what one user has).
//!
//! When places run out, a newcomer takes one of the address that has the most: that of its connection which was used longest
//! ago. If it is of that address itself, only one that was not used for a while makes place; and if it has none, then that one of all
//! others' which was not used for longest, unless half the places are the newcomer's. So connections that do nothing keep nobody out,
//! from however many addresses they come, and one address with very many keeps no other out.

use std::{
    collections::HashMap,
    future::poll_fn,
    net::IpAddr,
    sync::{
        Arc, LazyLock, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::task::AtomicWaker;

use crate::Address;

/// What uses are counted from.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The places. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Places(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    max: usize,
    idle: Duration,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    lines: HashMap<u64, Arc<Line>>,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection, as others see it.
#[derive(Debug)]
pub(crate) struct Line {
    address: IpAddr,
    used_ms: AtomicU64,
    busy: AtomicUsize,
    out: AtomicBool,
    waker: AtomicWaker,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    places: Places,
    number: u64,
    line: Arc<Line>,
}

/// A request that is being handled over a connection, until it is dropped. Over gRPC nobody notes them: a connection with a call
/// under way was used lately, but for calls that stay open, which anybody can make.
#[derive(Debug)]
pub(crate) struct Use(Arc<Line>);

impl Places {
    /// So many. A connection that is not used for so long may lose its place.
    pub(crate) fn new(max: usize, idle: Duration) -> Self {
        Self(Arc::new(Shared { max, idle, taken: Mutex::default() }))
    }

    /// A place for a connection from this address, if there is one.
    pub(crate) fn enter(&self, address: IpAddr) -> Option<Seat> {
        let address = Address(address).network();
        let mut taken = self.taken();
        if taken.lines.len() >= self.0.max {
            let loser = taken.loser(address, now_ms().checked_sub(millis(self.0.idle)))?;
            taken.remove(loser);
        }
        let line = Arc::new(Line {
            address,
            used_ms: AtomicU64::new(now_ms()),
            busy: AtomicUsize::new(0),
            out: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let number = taken.next;
        taken.next += 1;
        taken.lines.insert(number, Arc::clone(&line));
        *taken.by_address.entry(address).or_default() += 1;
        drop(taken);
        Some(Seat { places: self.clone(), number, line })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    /// Who makes place for a connection from this address, if anybody does. Idle is what was last used before `idle_ms`;
    /// none: nothing is.
    fn loser(&self, address: IpAddr, idle_ms: Option<u64>) -> Option<u64> {
        let own = self.by_address.get(&address).copied().unwrap_or_default();
        let (&most, &count) = self.by_address.iter().max_by_key(|(_, count)| **count)?;
        if own + 1 < count {
            return self.least_used(|line| line.address == most);
        }
        let is_idle =
            |line: &Line| !line.is_busy() && idle_ms.is_some_and(|idle_ms| line.used_ms() <= idle_ms);
        let of_its_own = self.least_used(|line| line.address == address && is_idle(line));
        of_its_own.or_else(|| if own * 2 < self.lines.len() { self.least_used(is_idle) } else { None })
    }

    /// Which of these connections was used longest ago; if possible it is not busy.
    fn least_used(&self, is_one: impl Fn(&Line) -> bool) -> Option<u64> {
        let lines = self.lines.iter().filter(|(_, line)| is_one(line));
        let least = lines.min_by_key(|(number, line)| (line.is_busy(), line.used_ms(), **number));
        least.map(|(number, _)| *number)
    }

    fn remove(&mut self, number: u64) {
        let Some(line) = self.lines.remove(&number) else { return };
        if let Some(count) = self.by_address.get_mut(&line.address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&line.address);
            }
        }
        line.put_out();
    }
}

impl Line {
    /// Has the connection closed.
    pub(crate) fn put_out(&self) {
        self.out.store(true, Ordering::Release);
        self.waker.wake();
    }

    fn used_ms(&self) -> u64 {
        self.used_ms.load(Ordering::Relaxed)
    }

    fn is_busy(&self) -> bool {
        self.busy.load(Ordering::Relaxed) > 0
    }
}

impl Seat {
    /// The connection.
    pub(crate) fn line(&self) -> Arc<Line> {
        Arc::clone(&self.line)
    }

    /// Notes that the connection is used now.
    pub(crate) fn used(&self) {
        self.line.used_ms.store(now_ms(), Ordering::Relaxed);
    }

    /// Notes that a request is being handled.
    pub(crate) fn begin(&self) -> Use {
        self.used();
        self.line.busy.fetch_add(1, Ordering::Relaxed);
        Use(Arc::clone(&self.line))
    }

    /// Whether a request is being handled.
    pub(crate) fn is_busy(&self) -> bool {
        self.line.is_busy()
    }

    /// Ready once the place is lost.
    pub(crate) fn poll_lost(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.line.out.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        self.line.waker.register(cx.waker());
        if self.line.out.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Waits until the place is lost.
    pub(crate) async fn lost(&self) {
        poll_fn(|cx| self.poll_lost(cx)).await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.places.taken().remove(self.number);
    }
}

impl Drop for Use {
    fn drop(&mut self) {
        self.0.used_ms.store(now_ms(), Ordering::Relaxed);
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

fn now_ms() -> u64 {
    millis(START.elapsed())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::{net::Ipv4Addr, thread::sleep};

    use futures::FutureExt as _;

    use super::*;

    const BIG: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    const SMALL: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));
    const LONG: Duration = Duration::from_hours(1);

    fn is_lost(seat: &Seat) -> bool {
        seat.lost().now_or_never().is_some()
    }

    #[test]
    fn one_address_keeps_no_other_out() {
        let places = Places::new(4, LONG);
        let big: Vec<_> = (0..4).map(|_| places.enter(BIG).unwrap()).collect();
        assert!(places.enter(BIG).is_none(), "it has all, and uses them");
        let _busy = big[0].begin();
        let small = [places.enter(SMALL).unwrap(), places.enter(SMALL).unwrap()];
        assert_eq!(big.iter().map(is_lost).collect::<Vec<_>>(), [false, true, true, false]);
        // Half each: now nobody has too many.
        assert!(places.enter(SMALL).is_none() && !small.iter().any(is_lost));
        drop(big);
        assert!(places.enter(SMALL).is_some());
    }

    #[test]
    fn a_connection_that_is_not_used_makes_place_for_the_next() {
        let places = Places::new(2, Duration::ZERO);
        let [first, second] = [BIG, BIG].map(|address| places.enter(address).unwrap());
        while second.line.used_ms() == now_ms() {
            sleep(Duration::from_millis(1));
        }
        second.used();
        let _busy = second.begin();
        let third = places.enter(BIG).unwrap();
        assert!(is_lost(&first) && !is_lost(&second) && !is_lost(&third));
        drop(third.begin());
        let _both = third.begin();
        assert!(places.enter(BIG).is_none(), "both are busy");
    }

    #[test]
    fn idle_connections_from_however_many_addresses_keep_nobody_out() {
        let address = |n: u8| IpAddr::V4(Ipv4Addr::new(127, 0, 0, n));
        let crowd = |idle| {
            let places = Places::new(4, idle);
            let seats: Vec<_> = (0..4).map(|n| places.enter(address(n)).unwrap()).collect();
            (places, seats)
        };
        let (places, seats) = crowd(Duration::ZERO);
        let _busy = seats[0].begin();
        let newcomers: Vec<_> = (9..12).map(|n| places.enter(address(n)).unwrap()).collect();
        assert_eq!(seats.iter().map(is_lost).collect::<Vec<_>>(), [false, true, true, true]);
        assert!(!newcomers.iter().any(is_lost), "the longest idle go first");
        // One address gets half of all places so, and no more.
        let first = places.enter(BIG).unwrap();
        let _first_use = first.begin();
        let second = places.enter(BIG).unwrap();
        let _second_use = second.begin();
        assert!(places.enter(BIG).is_none());
        assert_eq!(newcomers.iter().map(is_lost).collect::<Vec<_>>(), [true, true, false]);
        let (places, _seats) = crowd(LONG);
        assert!(places.enter(BIG).is_none(), "all are used");
    }

    #[test]
    fn who_has_many_addresses_of_ipv6_is_one() {
        let places = Places::new(2, LONG);
        let _seats =
            ["2001:db8::1", "2001:db8::2"].map(|address| places.enter(address.parse().unwrap()).unwrap());
        assert!(places.enter("2001:db8::3".parse().unwrap()).is_none());
        assert!(places.enter("2001:db8:1::1".parse().unwrap()).is_some());
    }

    #[test]
    fn what_is_given_back_is_counted_back() {
        let places = Places::new(2, LONG);
        for _ in 0..10 {
            let _seats = [BIG, SMALL].map(|address| places.enter(address).unwrap());
            assert!(places.enter(BIG).is_none());
        }
        let taken = places.taken();
        assert!(taken.lines.is_empty() && taken.by_address.is_empty());
    }
}
