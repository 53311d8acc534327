//! The sweep: finds overdue holds without any message, and abandoned drafts. It needs no broker.
//!
//! It closes every hole that messages leave: a timer that was lost, an expirer that died on the way, a hold whose booking
//! was never recorded.

use std::{sync::Arc, time::Duration};

use failpoint::{Step, reach};
use futures::future::join_all;
use proto::{
    catalog::{ListOverdueHoldsRequest, ListOverdueHoldsResponse},
    reservation::ExpireDraftsRequest,
};
use server::{Health, PartState};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tracing::{Instrument as _, Span, field};

use crate::{
    Catalog, Reservation, failure::Failure, health, metrics::Metrics, schedule, settler::Settler,
    verdict::Path,
};

/// Holds or drafts in one page.
const PAGE: i32 = 500;

/// Sweeps.
pub(crate) struct Sweep {
    /// Knows what is overdue.
    pub(crate) catalog: Catalog,
    /// Knows the drafts.
    pub(crate) reservation: Reservation,
    /// Settles what is found.
    pub(crate) settler: Settler,
    /// Hears whether the catalog is there.
    pub(crate) health: Health,
    /// Counts.
    pub(crate) metrics: Arc<Metrics>,
}

impl Sweep {
    /// Sweeps, rests, and sweeps again, until `stop`.
    pub(crate) async fn run(mut self, interval: Duration, stop: CancellationToken) {
        let mut failing = false;
        loop {
            let swept = tokio::select! {
                swept = self.sweep() => swept,
                () = stop.cancelled() => return,
            };
            match &swept {
                Err(failure) if !failing => tracing::warn!(%failure, "the sweep could not do everything"),
                Err(failure) => tracing::debug!(%failure, "the sweep could not do everything again"),
                Ok(()) if failing => tracing::info!("the sweep goes through again"),
                Ok(()) => {}
            }
            if swept.is_ok() {
                self.metrics.swept();
            }
            failing = swept.is_err();
            tokio::select! {
                () = sleep(interval) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Holds first: drafts keep nobody from buying.
    async fn sweep(&mut self) -> Result<(), Failure> {
        let holds = self.sweep_holds().await;
        let drafts = self.sweep_drafts().await;
        holds.and(drafts)
    }

    /// Page by page. Holds that are refused keep nobody from those behind them, and are reported in the end.
    async fn sweep_holds(&mut self) -> Result<(), Failure> {
        let (mut page_token, mut refused) = (String::new(), Ok(()));
        loop {
            let page = self.overdue(page_token).await?;
            self.metrics.found(page.keys.len());
            if !page.keys.is_empty() {
                reach(Step::SweepListed).await?;
            }
            // A sweep that finds nothing makes no trace.
            let span = if page.keys.is_empty() { Span::none() } else { traced(page.keys.len()) };
            let chunks = schedule::chunks(&page.keys).map(|chunk| self.settler.settle(Path::Sweep, chunk));
            // A chunk that fails does not keep the others of its page from being settled.
            for failure in join_all(chunks).instrument(span).await.into_iter().filter_map(Result::err) {
                match failure {
                    Failure::Outage(_) => return Err(failure),
                    Failure::Defect(_) => refused = Err(failure),
                }
            }
            if !page.keys.is_empty() {
                reach(Step::SweepSettled).await?;
            }
            if page.next_page_token.is_empty() {
                return refused;
            }
            page_token = page.next_page_token;
        }
    }

    async fn overdue(&mut self, page_token: String) -> Result<ListOverdueHoldsResponse, Failure> {
        let mut request = Request::new(ListOverdueHoldsRequest { limit: PAGE, page_token });
        telemetry::propagation::decline(request.metadata_mut());
        match self.catalog.list_overdue_holds(request).await {
            Ok(response) => {
                self.health.set(health::CATALOG, PartState::Up);
                Ok(response.into_inner())
            }
            Err(status) => {
                self.health.set(health::CATALOG, PartState::Down(status.message().to_owned()));
                Err(Failure::of("catalog", &status))
            }
        }
    }

    async fn sweep_drafts(&mut self) -> Result<(), Failure> {
        loop {
            let response = self.reservation.expire_drafts(ExpireDraftsRequest { limit: PAGE }).await;
            let expired =
                response.map_err(|status| Failure::of("reservation", &status))?.into_inner().expired;
            self.metrics.drafts(u64::try_from(expired).unwrap_or(0));
            if expired > 0 {
                reach(Step::SweepDraftsExpired).await?;
            }
            if expired < PAGE {
                return Ok(());
            }
        }
    }
}

/// The span of settling so many holds that were found.
fn traced(holds: usize) -> Span {
    let span = tracing::info_span!("job.sweep", holds, trace_id = field::Empty);
    telemetry::propagation::record_trace_id(&span);
    span
}
