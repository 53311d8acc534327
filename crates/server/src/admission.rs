//! Who is let in: so many calls at a time, and a refusal at once for the rest, before anything of a request is read.
//!
//! Together with the limits on connections and messages this bounds the memory that calls can take. Calls between the
//! services have a share of their own, so that a flood of customers keeps no hold from being settled; health is always
//! answered.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

use crate::services;

/// Calls between the services that are handled at a time: each carries a batch, and there are few callers.
const INTERNAL_CALLS: usize = 64;
/// What is never refused.
const HEALTH: &str = "grpc.health.v1.Health";

/// The limits on calls in flight.
#[derive(Clone, Debug)]
pub struct Admission {
    customers: Arc<Semaphore>,
    internal: Arc<Semaphore>,
    internal_services: Arc<[&'static str]>,
}

/// Leave to handle a call, until its response has been sent.
#[derive(Debug)]
pub(crate) struct Admitted {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// So many calls of customers at a time. The services of these full names are internal, and do not count among them.
    #[must_use]
    pub fn new(max_calls: usize, internal_services: &[&'static str]) -> Self {
        Self {
            customers: Arc::new(Semaphore::new(max_calls)),
            internal: Arc::new(Semaphore::new(INTERNAL_CALLS)),
            internal_services: internal_services.into(),
        }
    }

    /// Lets a call to this path in, or refuses it.
    pub(crate) fn admit(&self, path: &str) -> Result<Admitted, Status> {
        let service = services::name(path);
        if service == HEALTH {
            return Ok(Admitted { _permit: None });
        }
        let share = if self.internal_services.contains(&service) { &self.internal } else { &self.customers };
        match Arc::clone(share).try_acquire_owned() {
            Ok(permit) => Ok(Admitted { _permit: Some(permit) }),
            Err(_) => Err(api::overloaded()),
        }
    }
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
    }
}
