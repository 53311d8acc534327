//! AuditService: the catalog's rules, checked while it works. Internal, and read only.

use std::pin::Pin;

use api::audit::{Found, MAX_VIOLATIONS};
use futures::{Stream, stream};
use postgres::{Aside, Turn};
use proto::{
    audit::{AuditRule, Violation},
    catalog::{self as pb, audit_service_server::AuditService},
};
use sqlx::PgPool;
use time::OffsetDateTime;
use tonic::{Request, Response};

use super::{Answer, answer};
use crate::{Error, convert::audit as convert, store::audit as store};

/// How long the scan of all holds may take.
const SCAN_LIMIT_MS: u32 = 120_000;
/// What is found here.
const RULES: [AuditRule; 5] = [
    AuditRule::ProductCounts,
    AuditRule::SeatOwner,
    AuditRule::HoldVerdict,
    AuditRule::BookingHasHold,
    AuditRule::CustomerCounts,
];

/// Serves audits.
#[derive(Clone, Debug)]
pub struct AuditRpc {
    aside: Aside,
    found: Found,
}

type Products = Pin<Box<dyn Stream<Item = Result<pb::AuditProductsResponse, tonic::Status>> + Send>>;

impl AuditRpc {
    /// On a connection of its own beside this pool.
    #[must_use]
    pub fn new(pool: &PgPool) -> Self {
        Self { aside: Aside::new(pool), found: Found::new(&RULES) }
    }

    fn turn(&self) -> Result<Turn, Error> {
        self.aside.take().ok_or(Error::Overloaded)
    }

    fn count(&self, violations: Vec<Violation>) -> Vec<Violation> {
        self.found.count(&violations);
        violations
    }

    async fn products(self, mut turn: Turn) -> Result<pb::AuditProductsResponse, Error> {
        let conn = turn.long_snapshot(SCAN_LIMIT_MS).await?;
        let wrong = store::wrong_counts(conn, MAX_VIOLATIONS).await?;
        let wrong_of_customers = store::wrong_customer_counts(conn, MAX_VIOLATIONS).await?;
        let checked = store::count_products(conn).await?;
        turn.end().await?;
        let wrong = wrong.iter().map(convert::wrong_counts);
        let wrong_of_customers = wrong_of_customers.iter().map(convert::wrong_customer_count);
        let violations = self.count(wrong.chain(wrong_of_customers).collect());
        Ok(pb::AuditProductsResponse { violations, checked })
    }

    async fn seats(&self, request: &pb::AuditSeatsRequest) -> Result<pb::AuditSeatsResponse, Error> {
        let (map, label) = convert::seat(&request.after_seat_map_id, &request.after_label)?;
        let limit = convert::limit(request.limit)?;
        let mut turn = self.turn()?;
        let conn = turn.snapshot().await?;
        let after = (map, label.as_str());
        let mut page = pb::AuditSeatsResponse::default();
        if let Some(((map, label), size)) = store::seats_to(conn, after, limit).await? {
            let wrong = store::wrong_seats(conn, after, limit).await?;
            page.violations = self.count(wrong.iter().map(convert::wrong_seat).collect());
            page.checked = i32::try_from(size).unwrap_or(i32::MAX);
            if size == limit {
                (page.next_seat_map_id, page.next_label) = (map.to_string(), label);
            }
        }
        turn.end().await?;
        Ok(page)
    }

    async fn holds(&self, request: &pb::AuditHoldsRequest) -> Result<pb::AuditHoldsResponse, Error> {
        let after = convert::hold(request.after.as_ref())?;
        let limit = convert::limit(request.limit)?;
        let mut turn = self.turn()?;
        let conn = turn.snapshot().await?;
        let rows = store::page(conn, after, limit).await?;
        let mut violations: Vec<Violation> = rows.iter().filter_map(convert::wrong_hold).collect();
        let mut next = None;
        if let Some(last) = rows.last() {
            let to = (last.booking_id, last.attempt);
            let wrong = store::unclaimed_seats(conn, after, limit, MAX_VIOLATIONS).await?;
            violations.extend(wrong.iter().map(convert::wrong_seat));
            let full = i64::try_from(rows.len()).is_ok_and(|size| size == limit);
            next = full.then(|| pb::HoldKey { booking_id: to.0.to_string(), attempt: to.1 });
        }
        turn.end().await?;
        if next.is_none() {
            self.found.completed(OffsetDateTime::now_utc());
        }
        let holds = rows.iter().map(convert::audited).collect();
        Ok(pb::AuditHoldsResponse { violations: self.count(violations), holds, next })
    }

    async fn get(&self, request: &pb::GetHoldsRequest) -> Result<pb::GetHoldsResponse, Error> {
        let (ids, attempts) = convert::keys("keys", &request.keys)?;
        let mut turn = self.turn()?;
        let rows = store::get(turn.snapshot().await?, &ids, &attempts).await?;
        turn.end().await?;
        Ok(pb::GetHoldsResponse { holds: rows.iter().map(convert::audited).collect() })
    }

    async fn claims(&self, request: &pb::AuditClaimsRequest) -> Result<pb::AuditClaimsResponse, Error> {
        let (ids, attempts) = convert::keys("claims", &request.claims)?;
        let mut turn = self.turn()?;
        let missing = store::missing(turn.snapshot().await?, &ids, &attempts).await?;
        turn.end().await?;
        let violations = self.count(missing.iter().map(convert::missing).collect());
        Ok(pb::AuditClaimsResponse { violations })
    }
}

#[tonic::async_trait]
impl AuditService for AuditRpc {
    type AuditProductsStream = Products;

    async fn audit_products(&self, _: Request<pb::AuditProductsRequest>) -> Answer<Products> {
        let turn = self.turn()?;
        let work = self.aside.traced("AuditProducts", self.clone().products(turn));
        let products = async move { work.await.map_err(tonic::Status::from) };
        Ok(Response::new(Box::pin(stream::once(products))))
    }

    async fn audit_seats(&self, request: Request<pb::AuditSeatsRequest>) -> Answer<pb::AuditSeatsResponse> {
        answer(self.aside.traced("AuditSeats", self.seats(request.get_ref())).await)
    }

    async fn audit_holds(&self, request: Request<pb::AuditHoldsRequest>) -> Answer<pb::AuditHoldsResponse> {
        answer(self.aside.traced("AuditHolds", self.holds(request.get_ref())).await)
    }

    async fn get_holds(&self, request: Request<pb::GetHoldsRequest>) -> Answer<pb::GetHoldsResponse> {
        answer(self.aside.traced("GetHolds", self.get(request.get_ref())).await)
    }

    async fn audit_claims(
        &self,
        request: Request<pb::AuditClaimsRequest>,
    ) -> Answer<pb::AuditClaimsResponse> {
        answer(self.aside.traced("AuditClaims", self.claims(request.get_ref())).await)
    }
}
