//! What an audit asks, and what it is told.

use std::{collections::HashMap, fmt::Display};

use api::{Violation as BadField, Violations, audit::violation, field};
use postgres::StoredTime;
use proto::{
    audit::{AuditRule, Violation},
    catalog::{self, HoldKey},
    reservation as pb,
};
use time::Duration;
use uuid::Uuid;

use super::hold_key;
use crate::{
    domain::{
        audit::{AuditedBooking, AuditedHold, Broken, HeldFor, HoldState, Limits, LinesDigest},
        booking::StateName,
    },
    store::audit::{AuditRow, Finding},
};

/// The most bookings or holds in one call.
pub(crate) const MAX_PAGE: i64 = 5_000;
/// The most that a hold may outlive its time, and that clocks may be apart, in ms.
const OVERDUE_MS: std::ops::RangeInclusive<i64> = 0..=172_800_000;
const TOLERANCE_MS: std::ops::RangeInclusive<i64> = 0..=3_600_000;

/// The names of holds, with the holds.
pub(crate) type Holds = Vec<((Uuid, i32), AuditedHold)>;

/// Where a page of bookings begins, and its size.
pub(crate) fn page(request: &pb::AuditBookingsRequest) -> Result<(Uuid, i64), Violations> {
    let mut bad = Violations::default();
    let from = bad.keep(field::optional_uuid("from_booking_id", &request.from_booking_id));
    let limit = bad.keep(match request.limit {
        0 => Ok(2_000),
        limit => field::integer("limit", limit, 1..=MAX_PAGE),
    });
    let (from, limit) = bad.complete((from, limit))?;
    Ok((from.unwrap_or_default(), limit))
}

/// The holds to compare, and how strictly.
pub(crate) fn compare(request: &pb::CompareHoldsRequest) -> Result<(Holds, Limits), Violations> {
    field::count("holds", request.holds.len(), 0..=usize::try_from(MAX_PAGE).unwrap_or(usize::MAX))?;
    let mut bad = Violations::default();
    let overdue = field::duration_ms("overdue_limit", request.overdue_limit.as_ref(), OVERDUE_MS);
    let overdue = bad.keep(overdue);
    let tolerance =
        field::optional_duration_ms("clock_tolerance", request.clock_tolerance.as_ref(), TOLERANCE_MS);
    let tolerance = bad.keep(tolerance);
    let read = |(i, hold)| bad.keep_all(audited_hold(&format!("holds[{i}]"), hold));
    let holds: Holds = request.holds.iter().enumerate().filter_map(read).collect();
    let (overdue, tolerance) = bad.complete((overdue, tolerance))?;
    let limits = Limits {
        overdue: Duration::milliseconds(overdue),
        clock_tolerance: Duration::milliseconds(tolerance.unwrap_or(0)),
    };
    Ok((holds, limits))
}

fn audited_hold(path: &str, hold: &catalog::AuditedHold) -> Result<((Uuid, i32), AuditedHold), Violations> {
    let mut bad = Violations::default();
    let key = bad.keep_all(hold_key(&format!("{path}.key"), hold.key.as_ref()));
    let settled_at = bad.keep(match &hold.settled_time {
        None => Ok(None),
        Some(at) => api::time::from_timestamp(at)
            .map(Some)
            .ok_or_else(|| BadField::new(format_args!("{path}.settled_time"), "must be a timestamp")),
    });
    let overdue = bad.keep(match &hold.overdue {
        None => Ok(Duration::ZERO),
        Some(overdue) => api::time::from_duration(overdue)
            .ok_or_else(|| BadField::new(format_args!("{path}.overdue"), "must be a duration")),
    });
    let lines = bad.keep(match &*hold.lines_digest {
        [] => Ok(None),
        digest => LinesDigest::try_from(digest).map(Some).map_err(|_| {
            BadField::new(format_args!("{path}.lines_digest"), "must be empty or have 32 bytes")
        }),
    });
    let state = match hold.state() {
        catalog::HoldState::Active => Some(HoldState::Active),
        catalog::HoldState::Committed => Some(HoldState::Committed),
        catalog::HoldState::Released => Some(HoldState::Released),
        catalog::HoldState::Unspecified => None,
    };
    let ((booking_id, attempt), settled_at, (overdue, lines)) =
        bad.complete((key, settled_at, overdue.zip(lines)))?;
    let attempt = attempt.get();
    let (units, total_minor) = (hold.units, hold.total_minor);
    let hold = AuditedHold { attempt, state, settled_at, overdue, units, total_minor, lines };
    Ok(((booking_id.get(), attempt), hold))
}

/// The bookings to compare with, by their ids; those in a state that there is not, or with a
/// time that is none, are left out, and reported.
pub(crate) fn bookings(rows: Vec<AuditRow>) -> (HashMap<Uuid, AuditedBooking>, Vec<Violation>) {
    let (mut bookings, mut violations) = (HashMap::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let AuditRow { booking_id, attempt, held_at, expires_at, units, total_minor, decided_at, .. } = row;
        let mut wrong = |description: String| {
            let id: [(&str, &dyn Display); 1] = [("booking_id", &booking_id)];
            violations.push(violation(AuditRule::BookingHistory, id, description));
        };
        let Some(state) = StateName::parse(&row.state) else {
            wrong(format!("booking {booking_id} is {}, which is no state", row.state));
            continue;
        };
        if [held_at, expires_at, decided_at].into_iter().flatten().any(|time| time.get().is_none()) {
            wrong(format!("booking {booking_id} is {}, with a time that is none", row.state));
            continue;
        }
        let [held_at, expires_at, decided_at] =
            [held_at, expires_at, decided_at].map(|time| time.and_then(StoredTime::get));
        let lines = LinesDigest::try_from(row.lines_digest).ok();
        let held = held_at.and(expires_at).zip(total_minor);
        let held = held.map(|(deadline, total_minor)| HeldFor { deadline, total_minor });
        let waiting_since = None;
        let booking = AuditedBooking { state, attempt, held, units, lines, decided_at, waiting_since };
        bookings.insert(booking_id, booking);
    }
    (bookings, violations)
}

/// What breaks a rule, by ids.
pub(crate) fn finding(rule: AuditRule, finding: Finding) -> Violation {
    let Finding { booking_id, sequence, payment_id, description } = finding;
    let mut ids: Vec<(&str, &dyn Display)> = vec![("booking_id", &booking_id)];
    ids.extend(sequence.as_ref().map(|sequence| ("sequence", sequence as &dyn Display)));
    ids.extend(payment_id.as_ref().map(|id| ("payment_id", id as &dyn Display)));
    violation(rule, ids, description)
}

/// A hold that is not as it must be.
pub(crate) fn wrong_hold((booking_id, attempt): (Uuid, i32), broken: Broken, what: &str) -> Violation {
    let rule = match broken {
        Broken::Verdict => AuditRule::HoldVerdict,
        Broken::Overdue => AuditRule::HoldOverdue,
        Broken::Units => AuditRule::BookingHasHold,
        Broken::Carried => AuditRule::SettlementCarried,
    };
    let ids: [(&str, &dyn Display); 2] = [("booking_id", &booking_id), ("attempt", &attempt)];
    violation(rule, ids, format!("hold {booking_id}/{attempt}: {what}"))
}

/// The name of a hold.
pub(crate) fn encode_key((booking_id, attempt): (Uuid, i32)) -> HoldKey {
    HoldKey { booking_id: booking_id.to_string(), attempt }
}
