//! Reservation's database clock, which alone says what is due, as it can be known from here.

mod estimate;

use std::time::{Duration, Instant};

use proto::reservation::ResolveHoldsRequest;
use server::{Health, PartState};
use time::OffsetDateTime;
use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tonic::Request;

use self::estimate::{Estimate, Reading};
use crate::{Reservation, health};

/// How often the clock is read.
const READ_INTERVAL: Duration = Duration::from_secs(1);
/// The same until it is known.
const FIRST_READ_INTERVAL: Duration = Duration::from_millis(200);
/// How long a reading may take.
const READ_TIMEOUT: Duration = Duration::from_secs(1);

/// What is known of the clock. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    estimate: watch::Sender<Option<Estimate>>,
}

impl Default for Clock {
    fn default() -> Self {
        Self { estimate: watch::Sender::new(None) }
    }
}

impl Clock {
    /// Waits until the clock is known.
    pub(crate) async fn known(&self) {
        let known = self.estimate.subscribe().wait_for(Option::is_some).await.map(drop);
        known.expect("the sender is in self");
    }

    /// How long it is from `now` to `deadline`; nothing if it has passed, or the clock is not known.
    pub(crate) fn left(&self, deadline: OffsetDateTime, now: Instant) -> Duration {
        self.estimate.borrow().map_or(Duration::ZERO, |estimate| estimate.left(deadline, now))
    }

    /// How long it was from `deadline` to `now`; `None` when the clock is not known.
    pub(crate) fn since(&self, deadline: OffsetDateTime, now: Instant) -> Option<Duration> {
        self.estimate.borrow().map(|estimate| estimate.since(deadline, now))
    }

    /// Reads the clock again and again until `stop`, which also shows whether reservation is there. The questions for
    /// verdicts are no readings: they take too long for that.
    pub(crate) async fn learn(self, mut reservation: Reservation, health: Health, stop: CancellationToken) {
        loop {
            match read(&mut reservation).await {
                Ok(reading) => {
                    self.estimate
                        .send_modify(|estimate| *estimate = Some(Estimate::next(*estimate, reading)));
                    health.set(health::RESERVATION, PartState::Up);
                }
                Err(reason) => health.set(health::RESERVATION, PartState::Down(reason)),
            }
            let known = self.estimate.borrow().is_some();
            tokio::select! {
                () = sleep(if known { READ_INTERVAL } else { FIRST_READ_INTERVAL }) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Asks for no verdict, only for the time; or says what is wrong.
async fn read(reservation: &mut Reservation) -> Result<Reading, String> {
    let mut request = Request::new(ResolveHoldsRequest::default());
    request.set_timeout(READ_TIMEOUT);
    telemetry::propagation::decline(request.metadata_mut());
    let asked = Instant::now();
    let response = reservation.resolve_holds(request).await.map_err(|status| status.message().to_owned())?;
    let answered = Instant::now();
    let server_time = response.into_inner().server_time.as_ref().and_then(api::time::from_timestamp);
    let server_time = server_time.ok_or("the answer has no valid server_time")?;
    Ok(Reading { asked, answered, server_time })
}
