//! AuditService: the rules of bookings, and holds beside their bookings, checked while everything works. Internal, and
//! read only.

use std::collections::HashMap;

use api::audit::{Found, MAX_VIOLATIONS};
use postgres::{Aside, Turn};
use proto::{
    audit::{AuditRule, Violation},
    reservation as pb,
};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use crate::{
    convert::audit as convert,
    domain::audit::{Judgement, judge},
    error::Error,
    store::{
        audit::{self as store, Range},
        bookings,
    },
};

/// What is found here.
const RULES: [AuditRule; 7] = [
    AuditRule::HoldVerdict,
    AuditRule::BookingHistory,
    AuditRule::ConfirmedInTime,
    AuditRule::HoldOverdue,
    AuditRule::BookingHasHold,
    AuditRule::SettlementCarried,
    AuditRule::PaymentRecorded,
];

/// Serves audits.
#[derive(Clone, Debug)]
pub struct AuditRpc {
    aside: Aside,
    found: Found,
}

#[tonic::async_trait]
impl pb::audit_service_server::AuditService for AuditRpc {
    async fn audit_bookings(
        &self,
        request: Request<pb::AuditBookingsRequest>,
    ) -> Result<Response<pb::AuditBookingsResponse>, Status> {
        let work = self.bookings(request.get_ref());
        Ok(Response::new(self.aside.traced("AuditBookings", work).await?))
    }

    async fn compare_holds(
        &self,
        request: Request<pb::CompareHoldsRequest>,
    ) -> Result<Response<pb::CompareHoldsResponse>, Status> {
        let work = self.compare(request.get_ref());
        Ok(Response::new(self.aside.traced("CompareHolds", work).await?))
    }
}

impl AuditRpc {
    /// On a connection of its own beside this pool.
    #[must_use]
    pub fn new(pool: &PgPool) -> Self {
        Self { aside: Aside::new(pool), found: Found::new(&RULES) }
    }

    fn turn(&self) -> Result<Turn, Error> {
        self.aside.take().ok_or(Error::Overloaded)
    }

    async fn bookings(&self, request: &pb::AuditBookingsRequest) -> Result<pb::AuditBookingsResponse, Error> {
        let (from, limit) = convert::page(request)?;
        let mut turn = self.turn()?;
        let conn = turn.snapshot().await?;
        // The last page goes to the end of all ids, for what is about bookings that do not exist.
        let (to, checked) = store::bookings_to(conn, from, limit).await?.unwrap_or((Uuid::max(), 0));
        let next = (checked == limit).then(|| to.as_u128().checked_add(1)).flatten().map(Uuid::from_u128);
        let range = Range { from, to: if next.is_some() { to } else { Uuid::max() } };
        let violations = break_rules(conn, range).await?;
        let claims = store::claims(conn, range).await?;
        turn.end().await?;
        if next.is_none() {
            self.found.completed(OffsetDateTime::now_utc());
        }
        self.found.count(&violations);
        Ok(pb::AuditBookingsResponse {
            violations,
            checked: i32::try_from(checked).unwrap_or(i32::MAX),
            claims: claims.into_iter().map(convert::encode_key).collect(),
            next_booking_id: next.map(|id| id.to_string()).unwrap_or_default(),
        })
    }

    async fn compare(&self, request: &pb::CompareHoldsRequest) -> Result<pb::CompareHoldsResponse, Error> {
        let (holds, limits) = convert::compare(request)?;
        let ids: Vec<Uuid> = holds.iter().map(|((id, _), _)| *id).collect();
        let mut turn = self.turn()?;
        let conn = turn.snapshot().await?;
        let (mut known, violations) = convert::bookings(store::get(conn, &ids).await?);
        let now = bookings::clock(conn).await?;
        // Few holds are not as their booking wants them: for those alone the outbox is looked through.
        let mut doubtful = holds;
        doubtful.retain(|(key, hold)| judge(hold, known.get(&key.0), &limits, now) != Judgement::Agrees);
        let ids: Vec<Uuid> = doubtful.iter().map(|((id, _), _)| *id).collect();
        let waiting: HashMap<_, _> = match &*ids {
            [] => HashMap::new(),
            ids => store::waiting_verdicts(conn, ids).await?.into_iter().collect(),
        };
        turn.end().await?;
        let mut answer = pb::CompareHoldsResponse { violations, ..Default::default() };
        for (key, hold) in doubtful {
            if let Some(booking) = known.get_mut(&key.0) {
                booking.waiting_since = waiting.get(&key).copied();
            }
            let judgement = judge(&hold, known.get(&key.0), &limits, now);
            note(&mut answer, key, judgement, request.last_look);
        }
        self.found.count(&answer.violations);
        Ok(answer)
    }
}

/// Notes what is thought of a hold.
fn note(answer: &mut pb::CompareHoldsResponse, key: (Uuid, i32), judgement: Judgement, last_look: bool) {
    match judgement {
        Judgement::Agrees => {}
        Judgement::Unclaimed => answer.unclaimed += 1,
        Judgement::Due => answer.due += 1,
        Judgement::Settling => answer.settling += 1,
        Judgement::Suspect(..) if !last_look => answer.suspects.push(convert::encode_key(key)),
        Judgement::Suspect(broken, what) | Judgement::Wrong(broken, what) => {
            answer.violations.push(convert::wrong_hold(key, broken, &what));
        }
    }
}

/// What breaks the rules of bookings, in a range of them.
async fn break_rules(conn: &mut PgConnection, range: Range) -> Result<Vec<Violation>, Error> {
    let mut found = Vec::new();
    let mut add = |rule, findings: Vec<store::Finding>| {
        found.extend(findings.into_iter().map(|finding| convert::finding(rule, finding)));
    };
    add(AuditRule::BookingHistory, store::illegal_steps(conn, range, MAX_VIOLATIONS).await?);
    add(AuditRule::BookingHistory, store::broken_chains(conn, range, MAX_VIOLATIONS).await?);
    add(AuditRule::BookingHistory, store::wrong_ends(conn, range, MAX_VIOLATIONS).await?);
    add(AuditRule::ConfirmedInTime, store::untimely(conn, range, MAX_VIOLATIONS).await?);
    add(AuditRule::PaymentRecorded, store::wrong_payments(conn, range, MAX_VIOLATIONS).await?);
    Ok(found)
}
