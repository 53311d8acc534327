//! Who is let in: so many calls at a time, and a refusal at once for the rest, before anything of a request is read.
//!
//! Together with the limits on connections and messages this bounds the memory that calls can take. Calls between the
//! services have a share of their own, so that a flood of customers keeps no hold from being settled; so have calls that stay open
//! for long. Health is always answered.

use std::sync::Arc;

use ::http::Request;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::{
    rate::{Key, RateConfig, Rates},
    services,
};

/// Calls between the services that are handled at a time: each carries a batch, and there are few callers.
const INTERNAL_CALLS: usize = 64;
/// Calls that stay open as long as their callers like: of reflection, and who watches health.
const OPEN_CALLS: usize = 512;
/// What is never refused.
const HEALTH: &str = "/grpc.health.v1.Health/Check";
const HEALTH_SERVICE: &str = "/grpc.health.v1.Health/";
/// Paths of calls that stay open, by how they begin.
const OPEN: [&str; 2] = ["/grpc.health.v1.Health/Watch", "/grpc.reflection."];

/// The limits on calls in flight.
#[derive(Clone, Debug)]
pub struct Admission {
    places: usize,
    customers: Arc<Semaphore>,
    internal: Arc<Semaphore>,
    open: Arc<Semaphore>,
    internal_services: Arc<[&'static str]>,
    rates: Option<Arc<Rates>>,
}

/// Which calls one counts among.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Customer,
    Internal,
    /// It stays open as long as its caller likes.
    Open,
    /// It is never refused.
    Health,
}

/// Leave to handle a call, until its response has been sent.
#[derive(Debug)]
pub(crate) struct Admitted {
    permit: Option<OwnedSemaphorePermit>,
    kind: Kind,
}

impl Admitted {
    /// For what takes no place: it was not even received.
    pub(crate) fn without_leave() -> Self {
        Self { permit: None, kind: Kind::Health }
    }

    /// Whether it keeps a place that customers want.
    pub(crate) fn is_of_customer(&self) -> bool {
        self.permit.is_some() && self.kind == Kind::Customer
    }
}

impl Admission {
    /// So many calls of customers at a time. The services of these full names are internal, and do not count among them.
    #[must_use]
    pub fn new(max_calls: usize, internal_services: &[&'static str]) -> Self {
        Self {
            places: max_calls,
            customers: Arc::new(Semaphore::new(max_calls)),
            internal: Arc::new(Semaphore::new(INTERNAL_CALLS)),
            open: Arc::new(Semaphore::new(OPEN_CALLS)),
            internal_services: internal_services.into(),
            rates: None,
        }
    }

    /// The same, with a limit on how often each caller may call, where one is set.
    #[must_use]
    pub fn limit_rates(self, config: &RateConfig) -> Self {
        Self { rates: Rates::new(config).map(Arc::new), ..self }
    }

    /// Takes a call off what this caller may do, whatever the call is; none: the process itself.
    pub(crate) fn charge(&self, caller: Option<Key>) -> Result<(), Status> {
        self.rates.as_deref().zip(caller).map_or(Ok(()), |(rates, caller)| rates.admit(&caller))
    }

    /// Refuses a call of somebody who calls too often.
    pub(crate) fn check_rate<B>(&self, request: &Request<B>) -> Result<(), Status> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let path = request.uri().path();
        if self.is_internal(path) || path.starts_with(HEALTH_SERVICE) {
            return Ok(());
        }
        Key::of(request).map_or(Ok(()), |caller| rates.admit(&caller))
    }

    /// How many calls are taken at a time of customers, if one to this path is theirs.
    pub(crate) fn places(&self, path: &str) -> Option<usize> {
        (self.kind(path) == Kind::Customer).then_some(self.places)
    }

    /// Refuses a call to this path if there is no place for it now: before anything of it is read.
    pub(crate) fn check(&self, path: &str) -> Result<(), Status> {
        match self.share(self.kind(path)) {
            Some(share) if share.available_permits() == 0 => Err(api::overloaded()),
            _ => Ok(()),
        }
    }

    /// Lets a call to this path in, or refuses it.
    pub(crate) fn admit(&self, path: &str) -> Result<Admitted, Status> {
        let kind = self.kind(path);
        let Some(share) = self.share(kind) else { return Ok(Admitted { permit: None, kind }) };
        match Arc::clone(share).try_acquire_owned() {
            Ok(permit) => Ok(Admitted { permit: Some(permit), kind }),
            Err(_) => Err(api::overloaded()),
        }
    }

    /// Whether a call to this path is one between services.
    pub(crate) fn is_internal(&self, path: &str) -> bool {
        self.internal_services.contains(&services::name(path))
    }

    /// Among which calls one to this path counts.
    pub(crate) fn kind(&self, path: &str) -> Kind {
        if path == HEALTH {
            Kind::Health
        } else if stays_open(path) {
            Kind::Open
        } else if self.is_internal(path) {
            Kind::Internal
        } else {
            Kind::Customer
        }
    }

    /// The places for calls of this kind; none: they need none.
    fn share(&self, kind: Kind) -> Option<&Arc<Semaphore>> {
        match kind {
            Kind::Customer => Some(&self.customers),
            Kind::Internal => Some(&self.internal),
            Kind::Open => Some(&self.open),
            Kind::Health => None,
        }
    }
}

/// Whether a call to this path stays open as long as its caller likes.
fn stays_open(path: &str) -> bool {
    OPEN.iter().any(|begin| path.starts_with(begin))
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    const BOOKINGS: &str = "/holdfast.reservation.v1.BookingService/GetBooking";
    const SETTLEMENT: &str = "/holdfast.reservation.v1.SettlementService/ResolveHolds";

    fn admission(max_calls: usize) -> Admission {
        Admission::new(max_calls, &["holdfast.reservation.v1.SettlementService"])
    }

    #[test]
    fn one_call_too_many_is_refused_until_another_ends() {
        let admission = admission(1);
        let first = admission.admit(BOOKINGS).unwrap();
        let status = admission.admit(BOOKINGS).unwrap_err();
        assert_eq!((status.code(), &*api::reason_of(&status)), (Code::ResourceExhausted, "OVERLOADED"));
        assert!(api::retry_delay_of(&status).is_some());
        assert!(admission.admit("/no.Such/Method").is_err());
        drop(first);
        assert!(admission.admit(BOOKINGS).is_ok());
    }

    #[test]
    fn customers_take_no_place_from_the_services_nor_from_health() {
        let admission = admission(0);
        assert!(admission.admit(BOOKINGS).is_err());
        let _calls: Vec<_> = (0..INTERNAL_CALLS).map(|_| admission.admit(SETTLEMENT).unwrap()).collect();
        assert!(admission.admit(SETTLEMENT).is_err());
        assert!(admission.admit("/grpc.health.v1.Health/Check").is_ok());
        assert!(
            admission.check(BOOKINGS).is_err() && admission.check("/grpc.health.v1.Health/Check").is_ok()
        );
    }

    #[test]
    fn calls_that_stay_open_take_no_place_from_others() {
        let admission = admission(1);
        let reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
        let watch = "/grpc.health.v1.Health/Watch";
        let _calls: Vec<_> = (0..OPEN_CALLS / 2)
            .flat_map(|_| [reflection, watch].map(|path| admission.admit(path).unwrap()))
            .collect();
        assert!(admission.admit(watch).is_err() && admission.admit(reflection).is_err());
        assert!(admission.admit(BOOKINGS).is_ok() && admission.admit(SETTLEMENT).is_ok());
    }
}
