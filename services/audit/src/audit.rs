//! The way through both services, in the order that makes what is read comparable.

use std::time::Duration;

use proto::{
    catalog::{
        AuditClaimsRequest, AuditHoldsRequest, AuditSeatsRequest, AuditedHold, GetHoldsRequest, HoldKey,
    },
    reservation::{AuditBookingsRequest, CompareHoldsRequest},
};
use tokio::time::{Instant, sleep};

use crate::{Error, Options, Report, services::Services};

/// The pause between two looks at what is under suspicion.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// The most holds under suspicion: bounds the memory, to about 100 bytes each.
const MAX_SUSPECTS: usize = 1_000_000;

/// Checks every rule on everything, while everything works. It only reads.
///
/// # Errors
/// A service is away for longer than the options' patience, or cannot answer: nothing can be said.
pub async fn run(options: &Options) -> Result<Report, Error> {
    let start = Instant::now();
    let services = Services::new(options)?;
    let mut audit = Audit { options, services, report: Report::default(), suspects: Vec::new() };
    audit.products().await?;
    audit.seats().await?;
    audit.holds().await?;
    audit.bookings().await?;
    audit.suspects().await?;
    Ok(Report { duration: start.elapsed(), ..audit.report })
}

struct Audit<'a> {
    options: &'a Options,
    services: Services,
    report: Report,
    suspects: Vec<HoldKey>,
}

impl Audit<'_> {
    async fn products(&mut self) -> Result<(), Error> {
        let sums = self.services.audit_products().await?;
        self.report.checked.products = u64::try_from(sums.checked).unwrap_or(0);
        self.report.add(sums.violations);
        Ok(())
    }

    async fn seats(&mut self) -> Result<(), Error> {
        let mut request = AuditSeatsRequest { limit: self.options.page(), ..Default::default() };
        loop {
            let page = self.services.audit_seats(request.clone()).await?;
            self.report.checked.seats += u64::try_from(page.checked).unwrap_or(0);
            self.report.add(page.violations);
            if page.next_seat_map_id.is_empty() {
                return Ok(());
            }
            (request.after_seat_map_id, request.after_label) = (page.next_seat_map_id, page.next_label);
        }
    }

    /// Holds first, then their bookings: what is settled was decided before.
    async fn holds(&mut self) -> Result<(), Error> {
        let mut request = AuditHoldsRequest { after: None, limit: self.options.page() };
        loop {
            let page = self.services.audit_holds(request.clone()).await?;
            self.report.checked.holds += page.holds.len() as u64;
            self.report.add(page.violations);
            let suspects = self.compare(page.holds, false).await?;
            self.suspects.extend(suspects);
            if self.suspects.len() > MAX_SUSPECTS {
                return Err(Error::TooManySuspects(MAX_SUSPECTS));
            }
            if page.next.is_none() {
                return Ok(());
            }
            request.after = page.next;
        }
    }

    /// Bookings first, then the holds that they claim: what a booking acknowledged was placed before.
    async fn bookings(&mut self) -> Result<(), Error> {
        let mut request = AuditBookingsRequest { from_booking_id: String::new(), limit: self.options.page() };
        loop {
            let page = self.services.audit_bookings(request.clone()).await?;
            self.report.checked.bookings += u64::try_from(page.checked).unwrap_or(0);
            self.report.add(page.violations);
            let claims = AuditClaimsRequest { claims: page.claims };
            self.report.add(self.services.audit_claims(claims).await?.violations);
            if page.next_booking_id.is_empty() {
                return Ok(());
            }
            request.from_booking_id = page.next_booking_id;
        }
    }

    /// Looks at suspects again until they are as they should be, or the time for it is over.
    async fn suspects(&mut self) -> Result<(), Error> {
        self.report.in_flight.looked_at_again = self.suspects.len() as u64;
        let until = Instant::now() + self.options.second_look();
        while !self.suspects.is_empty() {
            let last_look = Instant::now() >= until;
            let mut still = Vec::new();
            for keys in std::mem::take(&mut self.suspects).chunks(self.options.page.into()) {
                let request = GetHoldsRequest { keys: keys.to_vec() };
                let holds = self.services.get_holds(request).await?.holds;
                still.extend(self.compare(holds, last_look).await?);
            }
            self.suspects = still;
            if !self.suspects.is_empty() {
                sleep(LOOK_INTERVAL).await;
            }
        }
        Ok(())
    }

    /// Compares holds with their bookings; answers those under suspicion.
    async fn compare(&mut self, holds: Vec<AuditedHold>, last_look: bool) -> Result<Vec<HoldKey>, Error> {
        let Options { overdue_limit_ms, clock_tolerance_ms, .. } = *self.options;
        let request = CompareHoldsRequest {
            holds,
            overdue_limit: Some(api::time::to_duration_ms(overdue_limit_ms.into())),
            clock_tolerance: Some(api::time::to_duration_ms(clock_tolerance_ms.into())),
            last_look,
        };
        let compared = self.services.compare_holds(request).await?;
        self.report.add_in_flight(&compared);
        self.report.add(compared.violations);
        Ok(compared.suspects)
    }
}
