//! What an audit found and saw, as protobuf; and the keys that it asks for.

use api::{Violations, audit::violation, field};
use postgres::StoredTime;
use proto::{
    audit::{AuditRule, Violation},
    catalog as pb,
};
use uuid::Uuid;

use super::hold::key;
use crate::{
    domain::hold::HoldState,
    store::audit::{AuditRow, WrongCounts, WrongCustomerCount, WrongSeat},
};

/// The most holds, seats or keys in one call.
pub const MAX_PAGE: i64 = 5_000;

/// How much is asked for.
pub fn limit(limit: i32) -> Result<i64, Violations> {
    match limit {
        0 => Ok(2_000),
        limit => Ok(field::integer("limit", limit, 1..=MAX_PAGE)?),
    }
}

/// The seat after which a page begins: before the first one if none is named.
pub fn seat(map: &str, label: &str) -> Result<(Uuid, String), Violations> {
    let mut bad = Violations::default();
    let map = bad.keep(field::optional_uuid("after_seat_map_id", map));
    let label = bad.keep(field::text("after_label", label, 0..=16));
    let (map, label) = bad.complete((map, label))?;
    Ok((map.unwrap_or_default(), label))
}

/// The hold after which a page begins: before the first one if none is named.
pub fn hold(after: Option<&pb::HoldKey>) -> Result<(Uuid, i32), Violations> {
    if after.is_none() {
        return Ok((Uuid::nil(), 0));
    }
    let after = key("after", after)?;
    Ok((after.booking_id.as_uuid(), after.attempt))
}

/// The keys of holds, column by column.
pub fn keys(path: &str, keys: &[pb::HoldKey]) -> Result<(Vec<Uuid>, Vec<i32>), Violations> {
    field::count(path, keys.len(), 0..=usize::try_from(MAX_PAGE).unwrap_or(usize::MAX))?;
    let mut bad = Violations::default();
    let read = |(i, hold)| bad.keep_all(key(&format!("{path}[{i}]"), Some(hold)));
    let columns = keys.iter().enumerate().filter_map(read).map(|key| (key.booking_id.as_uuid(), key.attempt));
    let columns = columns.unzip();
    bad.check()?;
    Ok(columns)
}

/// A product whose counts are wrong.
#[must_use]
pub fn wrong_counts(wrong: &WrongCounts) -> Violation {
    let WrongCounts { product_id, row, in_active, in_committed } = wrong;
    let holds = format!("its holds have {in_active} held and {in_committed} sold");
    let description = match row {
        Some((on_hand, held, sold)) => {
            format!("product {product_id} has {held} held and {sold} sold of {on_hand}; {holds}")
        }
        None => format!("there is no product {product_id}; {holds}"),
    };
    violation(AuditRule::ProductCounts, [("product_id", product_id as _)], description)
}

/// A customer's count that is wrong. Whose it is, is nothing for logs.
#[must_use]
pub fn wrong_customer_count(wrong: &WrongCustomerCount) -> Violation {
    let WrongCustomerCount { customer_id: _, counted, item_id, row, in_holds } = wrong;
    let (id, what) = match counted.as_str() {
        "PRODUCT" => (Some("product_id"), format!("units of product {item_id}")),
        "SEAT_MAP" => (Some("seat_map_id"), format!("seats of map {item_id}")),
        _ => (None, "open holds".to_owned()),
    };
    let description = match row {
        Some(row) => format!("a customer is counted with {row} {what}; their holds have {in_holds}"),
        None => format!("a customer is not counted with {what}; their holds have {in_holds}"),
    };
    violation(AuditRule::CustomerCounts, id.map(|id| (id, item_id as _)), description)
}

/// A seat and a hold that do not agree.
#[must_use]
pub fn wrong_seat(wrong: &WrongSeat) -> Violation {
    let WrongSeat { seat_map_id, label, state, named, hold } = wrong;
    let seat = match (state, named) {
        (None, _) => format!("there is no seat {label} of map {seat_map_id}"),
        (Some(state), None) => format!("seat {label} of map {seat_map_id} is {state} and names no hold"),
        (Some(state), Some((id, attempt))) => {
            format!("seat {label} of map {seat_map_id} is {state} and names hold {id}/{attempt}")
        }
    };
    let other = match hold {
        Some((id, attempt, state)) => format!("hold {id}/{attempt}, which has it, is {state}"),
        None => "no such hold has it".to_owned(),
    };
    let mut ids: Vec<(&str, &dyn std::fmt::Display)> = vec![("seat_map_id", seat_map_id), ("label", label)];
    let claimed = hold.as_ref().map(|(id, attempt, _)| (id, attempt));
    if let Some((id, attempt)) = claimed.or(named.as_ref().map(|(id, attempt)| (id, attempt))) {
        ids.extend([("booking_id", id as &dyn std::fmt::Display), ("attempt", attempt)]);
    }
    violation(AuditRule::SeatOwner, ids, format!("{seat}; {other}"))
}

/// A hold whose columns contradict each other.
#[must_use]
pub fn wrong_hold(row: &AuditRow) -> Option<Violation> {
    let known = HoldState::parse(&row.state);
    let active = known == Some(HoldState::Active);
    let what = if known.is_none() {
        "which is no state"
    } else if active == row.settled_at.is_some() {
        if active { "with a time of settlement" } else { "without a time of settlement" }
    } else if active != row.review_at.is_some() {
        if active { "without a time of review" } else { "with a time of review" }
    } else if has_no_time(row) {
        "with a time that is none"
    } else {
        return None;
    };
    let AuditRow { booking_id, attempt, state, .. } = row;
    let description = format!("hold {booking_id}/{attempt} is {state} {what}");
    let ids: [(&str, &dyn std::fmt::Display); 2] = [("booking_id", booking_id), ("attempt", attempt)];
    Some(violation(AuditRule::HoldVerdict, ids, description))
}

/// Whether one of its times is none that anybody can have written.
fn has_no_time(row: &AuditRow) -> bool {
    let AuditRow { settled_at, review_at, due_at, .. } = row;
    [*settled_at, *review_at, Some(*due_at)].into_iter().flatten().any(|time| time.get().is_none())
}

/// A hold that a booking has and that is not there.
#[must_use]
pub fn missing((booking_id, attempt): &(Uuid, i32)) -> Violation {
    let description = format!("there is no hold {booking_id}/{attempt}; its booking has it");
    let ids: [(&str, &dyn std::fmt::Display); 2] = [("booking_id", booking_id), ("attempt", attempt)];
    violation(AuditRule::BookingHasHold, ids, description)
}

/// A hold as an audit sees it.
#[must_use]
pub fn audited(row: &AuditRow) -> pb::AuditedHold {
    let state = match HoldState::parse(&row.state) {
        Some(HoldState::Active) => pb::HoldState::Active,
        Some(HoldState::Committed) => pb::HoldState::Committed,
        Some(HoldState::Released) => pb::HoldState::Released,
        None => pb::HoldState::Unspecified,
    };
    let due_at = [row.review_at, Some(row.due_at)].into_iter().flatten().filter_map(StoredTime::get).min();
    let overdue = due_at.map(|due_at| row.now - due_at);
    let overdue = overdue.filter(|late| state == pb::HoldState::Active && late.is_positive());
    pb::AuditedHold {
        key: Some(pb::HoldKey { booking_id: row.booking_id.to_string(), attempt: row.attempt }),
        state: state.into(),
        settled_time: row.settled_at.and_then(StoredTime::get).map(api::time::to_timestamp),
        overdue: overdue.map(api::time::to_duration),
        units: row.units,
        total_minor: row.total_minor,
        lines_digest: row.lines_digest.clone(),
    }
}
