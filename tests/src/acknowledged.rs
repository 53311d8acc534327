//! What customers were told, and whether it was true.

use std::{collections::HashMap, error::Error as _, time::Duration};

use api::reason_of;
use proto::reservation::Booking;
use sqlx::Row as _;
use tokio::time::sleep;
use tonic::{Code, Status};
use uuid::Uuid;

use crate::{World, state_of};

/// The states that bookings were acknowledged to be in, in their order.
#[derive(Clone, Debug, Default)]
pub struct Acknowledged {
    states: HashMap<Uuid, Vec<&'static str>>,
}

impl Acknowledged {
    /// Notes an answer.
    pub fn note(&mut self, booking: &Booking) {
        let id = Uuid::try_parse(&booking.booking_id).expect("a booking's id is a UUID");
        self.states.entry(id).or_default().push(state_of(booking));
    }

    /// Adds what another customer was told of other bookings.
    pub fn extend(&mut self, other: Self) {
        self.states.extend(other.states);
    }

    /// Everything that was acknowledged is on record: each booking went through the states that it was said to be in.
    pub async fn assert_kept(&self, world: &World) {
        let ids: Vec<Uuid> = self.states.keys().copied().collect();
        let rows = sqlx::query(
            "select booking_id, array_agg(to_state order by sequence) as path
             from booking_history where booking_id = any($1) group by booking_id",
        )
        .bind(&ids)
        .fetch_all(&mut world.reservation_database().await)
        .await
        .expect("the history can be read");
        let paths: HashMap<Uuid, Vec<String>> =
            rows.iter().map(|row| (row.get("booking_id"), row.get("path"))).collect();
        for (id, states) in &self.states {
            let path = paths.get(id).unwrap_or_else(|| panic!("booking {id} is lost; it was {states:?}"));
            let mut steps = path.iter();
            let kept = states.iter().all(|state| steps.by_ref().any(|step| step == state));
            assert!(kept, "booking {id} was acknowledged as {states:?}; its history is {path:?}");
        }
    }
}

/// Whether trying again is the thing to do: what the call did, if anything, is unknown.
#[must_use]
pub fn passes(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => true,
        // How tonic's client reports a connection that broke, and its own timeout.
        Code::Cancelled | Code::Unknown => reason_of(status).is_empty(),
        // And one that was closed in the moment of the call: INTERNAL. What a service sent has no source.
        _ => status.source().is_some(),
    }
}

/// Makes a call until it has an answer.
pub async fn insist<T>(mut call: impl AsyncFnMut() -> Result<T, Status>) -> Result<T, Status> {
    loop {
        match call().await {
            Err(status) if passes(&status) => sleep(Duration::from_millis(20)).await,
            answer => return answer,
        }
    }
}
