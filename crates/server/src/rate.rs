//! How often each caller may call: a bucket of tokens each, that fills at a steady rate up to a burst.
//!
//! A bucket is one instant, at which it is full again (GCRA). As many are kept as fit in a table of a fixed size: of a set of
//! eight, in which a newcomer takes the place of the one that is the next to be full, and so has the least to lose.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ::http::Request;
use auth::Role;
use opentelemetry::metrics::Counter;
use tonic::Status;

use crate::{Address, Caller};

/// Sets of buckets; a power of two.
const SETS: usize = 8_192;
/// Buckets of a set. All together are 65,536 callers, in 1 MiB.
const WAYS: usize = 8;

static LIMITED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    telemetry::counter("holdfast_rate_limited", "Calls refused because their callers call too often")
});

/// How often each caller may call.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct RateConfig {
    /// How many calls each caller may make a second, on average, over gRPC and HTTP together; more are refused. Not set: as many
    /// as come. Callers are told apart by the subjects of their tokens, without tokens by address. Each replica counts for itself.
    #[arg(long, env = "HOLDFAST_RATE_LIMIT", value_name = "CALLS",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_limit: Option<u32>,
    /// How many calls a caller may make at once after a rest. Not set: twice as many as in a second.
    #[arg(long, env = "HOLDFAST_RATE_BURST", value_name = "CALLS",
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate_burst: Option<u32>,
}

/// Who calls, as far as rates go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// Whoever is at this address.
    Address(IpAddr),
    /// Whoever has tokens of this subject.
    Subject(Arc<str>),
}

impl Key {
    /// The caller of a request; none: the process itself, or another service, which nobody limits.
    pub(crate) fn of<B>(request: &Request<B>) -> Option<Self> {
        let address = Self::of_address(request)?;
        match request.extensions().get::<Caller>() {
            Some(caller) if caller.role == Role::Service => None,
            Some(caller) if !caller.subject.is_empty() => Some(Self::Subject(Arc::clone(&caller.subject))),
            _ => Some(address),
        }
    }

    /// Whoever it is, at this address; none: the process itself.
    pub(crate) fn of_address<B>(request: &Request<B>) -> Option<Self> {
        Some(Self::Address(Address::of(request)?.network()))
    }
}

/// The buckets.
#[derive(Debug)]
pub(crate) struct Rates {
    /// In which a bucket gets one token.
    interval_ns: u64,
    /// In which an empty one gets all tokens but one.
    burst_ns: u64,
    start: Instant,
    /// With a secret of its own: nobody can choose whose bucket to take.
    hasher: RandomState,
    sets: Box<[Mutex<[Bucket; WAYS]>]>,
}

/// How often each address may be refused before nothing of it is looked at any more: for what has no caller before it was looked at.
#[derive(Debug)]
pub struct Penalties(Option<Rates>);

impl Penalties {
    /// So often a second, on average, and twice as often at once. None: as often as it likes.
    #[must_use]
    pub fn new(rate_limit: Option<u32>) -> Self {
        Self(Rates::new(&RateConfig { rate_limit, rate_burst: None }))
    }

    /// Whether a request of this address is to be looked at.
    ///
    /// # Errors
    /// Too many were refused: when the next one will be.
    pub fn check(&self, address: Option<Address>) -> Result<(), Status> {
        self.of(address).map_or(Ok(()), |(rates, key)| {
            rates.look(rates.hash(&key), rates.now_ns()).map_err(api::rate_limited)
        })
    }

    /// Notes that one was refused.
    pub fn add(&self, address: Option<Address>) {
        if let Some((rates, key)) = self.of(address) {
            let _ = rates.take(rates.hash(&key), rates.now_ns());
        }
    }

    fn of(&self, address: Option<Address>) -> Option<(&Rates, Key)> {
        Some((self.0.as_ref()?, Key::Address(address?.network())))
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    caller: u64,
    /// When it is full again, since the start.
    full_ns: u64,
}

impl Rates {
    /// None, where there is no limit.
    pub(crate) fn new(config: &RateConfig) -> Option<Self> {
        LIMITED.add(0, &[]);
        let rate = u64::from(config.rate_limit?);
        let burst = config.rate_burst.map_or(2 * rate, u64::from);
        let interval_ns = 1_000_000_000 / rate;
        Some(Self {
            interval_ns,
            burst_ns: interval_ns * (burst - 1),
            start: Instant::now(),
            hasher: RandomState::new(),
            sets: (0..SETS).map(|_| Mutex::default()).collect(),
        })
    }

    /// Takes a token of the caller's bucket.
    pub(crate) fn admit(&self, caller: &Key) -> Result<(), Status> {
        self.take(self.hash(caller), self.now_ns()).map_err(|wait| {
            LIMITED.add(1, &[]);
            api::rate_limited(wait)
        })
    }

    fn hash(&self, caller: &Key) -> u64 {
        self.hasher.hash_one(caller)
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether there is a token, or else when there will be one.
    fn look(&self, caller: u64, now_ns: u64) -> Result<(), Duration> {
        let set = self.set(caller);
        let bucket = set.iter().find(|bucket| bucket.caller == caller);
        bucket.map_or(Ok(()), |bucket| self.due(bucket.full_ns.max(now_ns), now_ns))
    }

    /// The same of a bucket that is full again then.
    fn due(&self, full_ns: u64, now_ns: u64) -> Result<(), Duration> {
        match (full_ns - now_ns).checked_sub(self.burst_ns) {
            None | Some(0) => Ok(()),
            Some(too_early) => Err(Duration::from_nanos(too_early)),
        }
    }

    fn set(&self, caller: u64) -> MutexGuard<'_, [Bucket; WAYS]> {
        let number = usize::try_from(caller % (SETS as u64)).expect("it is below the number of sets");
        self.sets[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token, or says when there will be one.
    fn take(&self, caller: u64, now_ns: u64) -> Result<(), Duration> {
        let mut set = self.set(caller);
        let mut chosen = 0;
        for (at, bucket) in set.iter().enumerate() {
            if bucket.caller == caller {
                chosen = at;
                break;
            }
            if bucket.full_ns < set[chosen].full_ns {
                chosen = at;
            }
        }
        let bucket = &mut set[chosen];
        if bucket.caller != caller {
            *bucket = Bucket { caller, full_ns: 0 };
        }
        let full_ns = bucket.full_ns.max(now_ns);
        self.due(full_ns, now_ns)?;
        bucket.full_ns = full_ns + self.interval_ns;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rates(rate: u32, burst: u32) -> Rates {
        Rates::new(&RateConfig { rate_limit: Some(rate), rate_burst: Some(burst) }).unwrap()
    }

    #[test]
    fn a_burst_is_let_in_and_then_what_the_rate_allows() {
        let rates = rates(10, 5);
        for start in [0, 100 * SECOND] {
            for _ in 0..5 {
                assert_eq!(rates.take(7, start), Ok(()));
            }
            assert_eq!(rates.take(7, start), Err(Duration::from_millis(100)));
            assert_eq!(rates.take(7, start + SECOND / 20), Err(Duration::from_millis(50)));
            assert_eq!(rates.take(8, start), Ok(()), "another caller");
            let in_a_second = (1..=100).filter(|i| rates.take(7, start + i * SECOND / 100).is_ok());
            assert_eq!(in_a_second.count(), 10);
        }
    }

    #[test]
    fn callers_without_number_take_no_memory_and_nobodys_tokens() {
        let rates = rates(1, 10);
        for _ in 0..10 {
            assert_eq!(rates.take(7, SECOND), Ok(()));
        }
        assert!(rates.take(7, SECOND).is_err());
        // All of the same set, once each: the one who has used up everything is the last to be forgotten.
        for other in 1..1_000 {
            assert_eq!(rates.take(7 + other * (SETS as u64), SECOND), Ok(()));
        }
        assert!(rates.take(7, SECOND).is_err());
    }

    #[test]
    fn callers_are_told_apart_by_their_tokens_and_else_by_address_and_services_are_not_counted() {
        let key = |role: Option<(Role, &str)>, address: Option<[u8; 4]>| {
            let mut request = Request::new(());
            if let Some((role, subject)) = role {
                let caller = Caller { subject: subject.into(), role, request_id: None };
                request.extensions_mut().insert(caller);
            }
            if let Some(address) = address {
                request.extensions_mut().insert(Address(address.into()));
            }
            Key::of(&request)
        };
        let (home, ada) = (Some([10, 0, 0, 7]), Some((Role::Customer, "ada")));
        let address = Some(Key::Address([10, 0, 0, 7].into()));
        assert_eq!(key(ada, home), Some(Key::Subject("ada".into())));
        assert_eq!(key(Some((Role::Operator, "")), home), address);
        assert_eq!(key(None, home), address);
        assert_eq!(key(Some((Role::Service, "expirer")), home), None);
        assert_eq!(key(Some((Role::Operator, "payment-provider")), None), None);
    }

    #[test]
    fn who_is_refused_too_often_is_not_looked_at_and_nobody_else_suffers() {
        let (junk, honest) = (Some(Address([10, 0, 0, 1].into())), Some(Address([10, 0, 0, 2].into())));
        let penalties = Penalties::new(Some(1));
        for _ in 0..100 {
            assert!(penalties.check(honest).is_ok() && penalties.check(None).is_ok());
        }
        for _ in 0..2 {
            assert!(penalties.check(junk).is_ok(), "to be looked at costs nothing");
            penalties.add(junk);
        }
        penalties.add(junk);
        let refused = penalties.check(junk).unwrap_err();
        assert_eq!(api::reason_of(&refused), "RATE_LIMITED");
        assert!(penalties.check(honest).is_ok());
        let none = Penalties::new(None);
        (0..100).for_each(|_| none.add(junk));
        assert!(none.check(junk).is_ok());
    }

    #[test]
    fn without_a_limit_there_is_none() {
        assert!(Rates::new(&RateConfig::default()).is_none());
        let default_burst = Rates::new(&RateConfig { rate_limit: Some(100), rate_burst: None }).unwrap();
        assert_eq!((0..1_000).filter(|_| default_burst.take(1, 5).is_ok()).count(), 200);
    }
}
