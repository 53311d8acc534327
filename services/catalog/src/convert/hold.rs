//! Holds, verdicts and their outcomes: protobuf to domain and back.

use std::collections::{HashMap, HashSet};

use api::{Violation, Violations, field};
use proto::catalog::{self as pb, ErrorReason};

use super::money;
use crate::domain::{
    customer::{Counted, CustomerId},
    hold::{Hold, HoldKey, HoldState, Item, SeatKey},
    place::{self, PlaceRequest, Refusal},
    restore::{self, RestoreRequest},
    settle::{self, Verdict},
};

/// The most holds in one request, and the most verdicts.
const MAX_HOLDS: usize = 1_000;
const MAX_VERDICTS: usize = 10_000;
/// The most lines of a hold.
const MAX_LINES: usize = 100;
/// The shortest and the longest time of a hold that may be asked for, in ms.
const ASKED_TTL_MS: std::ops::RangeInclusive<i64> = 100..=86_400_000;
/// How long a hold may be left alone, in ms.
const REVIEW_AFTER_MS: std::ops::RangeInclusive<i64> = 0..=172_800_000;

/// The holds to place.
pub fn place_requests(request: pb::PlaceHoldsRequest) -> Result<Vec<PlaceRequest>, Violations> {
    field::count("holds", request.holds.len(), 1..=MAX_HOLDS)?;
    let mut bad = Violations::default();
    let requests = request
        .holds
        .into_iter()
        .enumerate()
        .filter_map(|(i, hold)| bad.keep_all(place_request(i, hold)))
        .collect();
    bad.check()?;
    Ok(requests)
}

fn place_request(i: usize, hold: pb::PlaceHold) -> Result<PlaceRequest, Violations> {
    let mut bad = Violations::default();
    let key = bad.keep_all(key(&format!("holds[{i}].key"), hold.key.as_ref()));
    let items = bad.keep_all(items(&format!("holds[{i}].lines"), &hold.lines));
    let path = format_args!("holds[{i}].hold_ttl");
    let asked_ttl_ms = bad.keep(field::optional_duration_ms(path, hold.hold_ttl.as_ref(), ASKED_TTL_MS));
    let customer_id = bad.keep(customer_id(i, hold.customer_id));
    let (key, items, asked_ttl_ms, customer_id) = bad.complete((key, items, asked_ttl_ms, customer_id))?;
    Ok(PlaceRequest { key, items, asked_ttl_ms, customer_id })
}

/// Whose the hold is to be; nobody's, as far as an earlier reservation says.
fn customer_id(i: usize, id: String) -> Result<Option<CustomerId>, Violation> {
    if id.is_empty() {
        return Ok(None);
    }
    let path = format_args!("holds[{i}].customer_id");
    if id.contains('\0') {
        return Err(Violation::new(path, "must not contain the NUL character"));
    }
    CustomerId::try_from(id).map(Some).map_err(|error| Violation::new(path, error.to_string()))
}

/// The holds to put back.
pub fn restore_requests(request: pb::RestoreHoldsRequest) -> Result<Vec<RestoreRequest>, Violations> {
    field::count("holds", request.holds.len(), 1..=MAX_HOLDS)?;
    let mut bad = Violations::default();
    let holds = request.holds.into_iter().enumerate();
    let requests = holds.filter_map(|(i, hold)| bad.keep_all(restore_request(i, hold))).collect();
    bad.check()?;
    Ok(requests)
}

fn restore_request(i: usize, hold: pb::RestoreHold) -> Result<RestoreRequest, Violations> {
    let mut bad = Violations::default();
    let pb::RestoreHold { key, lines, unit_prices, hold_ttl, customer_id } = hold;
    let path = format!("holds[{i}].unit_prices");
    let parse = |(j, price)| money::price(format_args!("{path}[{j}]"), Some(price));
    let prices: Vec<_> =
        unit_prices.iter().enumerate().filter_map(|price| bad.keep_all(parse(price))).collect();
    let currency = prices.first().map(|price| price.currency());
    if unit_prices.len() != lines.len() || prices.iter().any(|price| Some(price.currency()) != currency) {
        bad.add(Violation::new(&path, "must have a price for each line, all in one currency"));
    }
    let place = bad.keep_all(place_request(i, pb::PlaceHold { key, lines, hold_ttl, customer_id }));
    let (place, currency) = bad.complete((place, currency))?;
    let prices_minor = prices.iter().map(|price| price.minor_units()).collect();
    Ok(RestoreRequest { place, prices_minor, currency: currency.to_string() })
}

/// The name of a hold.
pub fn key(path: &str, key: Option<&pb::HoldKey>) -> Result<HoldKey, Violations> {
    let key = field::required(path, key)?;
    let mut bad = Violations::default();
    let booking_id = bad.keep(field::uuid(format_args!("{path}.booking_id"), &key.booking_id));
    let range = 1..=i64::from(i32::MAX);
    let attempt = bad.keep(field::integer(format_args!("{path}.attempt"), key.attempt, range));
    let (booking_id, _) = bad.complete((booking_id, attempt))?;
    Ok(HoldKey { booking_id: booking_id.into(), attempt: key.attempt })
}

fn items(path: &str, lines: &[pb::HoldLine]) -> Result<Vec<Item>, Violations> {
    field::count(path, lines.len(), 1..=MAX_LINES)?;
    let mut bad = Violations::default();
    let mut seats = HashSet::new();
    let mut items = Vec::with_capacity(lines.len());
    for (i, line) in lines.iter().enumerate() {
        let Some(item) = bad.keep_all(item(&format!("{path}[{i}]"), line)) else { continue };
        if let Item::Seat(seat) = &item
            && !seats.insert(seat.clone())
        {
            bad.add(Violation::new(format_args!("{path}[{i}].seat"), "must not name a seat twice"));
        }
        items.push(item);
    }
    bad.check()?;
    Ok(items)
}

fn item(path: &str, line: &pb::HoldLine) -> Result<Item, Violations> {
    let mut bad = Violations::default();
    match field::required(format_args!("{path}.item"), line.item.as_ref())? {
        pb::hold_line::Item::Product(product) => {
            let id = bad.keep(field::uuid(format_args!("{path}.product.product_id"), &product.product_id));
            let quantity = field::quantity(format_args!("{path}.product.quantity"), product.quantity);
            let quantity = bad.keep(quantity);
            let (product_id, quantity) = bad.complete((id, quantity))?;
            Ok(Item::Product { product_id: product_id.into(), quantity })
        }
        pb::hold_line::Item::Seat(seat) => {
            let id = bad.keep(field::uuid(format_args!("{path}.seat.seat_map_id"), &seat.seat_map_id));
            let label = bad.keep(field::text(format_args!("{path}.seat.label"), &seat.label, 1..=16));
            let (seat_map_id, label) = bad.complete((id, label))?;
            Ok(Item::Seat(SeatKey { seat_map_id: seat_map_id.into(), label }))
        }
    }
}

/// The verdicts to carry over.
pub fn verdicts(request: &pb::SettleHoldsRequest) -> Result<Vec<(HoldKey, Verdict)>, Violations> {
    field::count("holds", request.holds.len(), 1..=MAX_VERDICTS)?;
    let mut bad = Violations::default();
    let verdicts =
        request.holds.iter().enumerate().filter_map(|(i, hold)| bad.keep_all(verdict(i, hold))).collect();
    bad.check()?;
    Ok(verdicts)
}

fn verdict(i: usize, hold: &pb::SettleHold) -> Result<(HoldKey, Verdict), Violations> {
    let mut bad = Violations::default();
    let key = bad.keep_all(key(&format!("holds[{i}].key"), hold.key.as_ref()));
    let verdict = field::required(format_args!("holds[{i}].verdict"), hold.verdict.as_ref());
    let verdict = bad.keep(verdict.and_then(|verdict| match verdict {
        pb::settle_hold::Verdict::Release(_) => Ok(Verdict::Release),
        pb::settle_hold::Verdict::Commit(_) => Ok(Verdict::Commit),
        pb::settle_hold::Verdict::ReviewAfter(after) => {
            let ms = api::time::from_duration(after).map(time::Duration::whole_milliseconds);
            let ms = ms.and_then(|ms| i64::try_from(ms).ok()).filter(|ms| REVIEW_AFTER_MS.contains(ms));
            let path = format_args!("holds[{i}].review_after");
            ms.map(Verdict::ReviewAfter).ok_or_else(|| Violation::new(path, "must be 0 to 48 hours"))
        }
    }));
    bad.complete((key, verdict))
}

/// The outcome of placing a hold.
#[must_use]
pub fn place_outcome(outcome: place::Outcome) -> pb::PlaceHoldOutcome {
    use pb::place_hold_outcome::Outcome;
    let outcome = match outcome {
        place::Outcome::Placed(hold) => Outcome::Placed(placed(&hold)),
        place::Outcome::Refused { reason, line } => Outcome::Refused(refused(reason, line)),
        place::Outcome::Damaged => Outcome::Damaged(pb::DamagedHold {}),
    };
    pb::PlaceHoldOutcome { outcome: Some(outcome) }
}

/// The outcome of putting a hold back.
#[must_use]
pub fn restore_outcome(outcome: restore::Outcome) -> pb::RestoreHoldOutcome {
    use pb::restore_hold_outcome::Outcome;
    let outcome = match outcome {
        restore::Outcome::Restored(hold) => Outcome::Restored(placed(&hold)),
        restore::Outcome::Present(hold) => Outcome::Present(placed(&hold)),
        restore::Outcome::Refused { reason, line } => Outcome::Refused(refused(reason, line)),
        restore::Outcome::Damaged => Outcome::Damaged(pb::DamagedHold {}),
    };
    pb::RestoreHoldOutcome { outcome: Some(outcome) }
}

fn placed(hold: &Hold) -> pb::PlacedHold {
    let state = match hold.state {
        HoldState::Active => pb::HoldState::Active,
        HoldState::Committed => pb::HoldState::Committed,
        HoldState::Released => pb::HoldState::Released,
    };
    let price = |line: &crate::domain::hold::Line| pb::Money {
        currency_code: hold.currency.clone(),
        minor_units: line.price_minor,
    };
    pb::PlacedHold {
        state: state.into(),
        hold_ttl: Some(api::time::to_duration_ms(hold.hold_ttl_ms)),
        unit_prices: hold.lines.iter().map(price).collect(),
    }
}

/// The reason of a refusal, as callers know it.
pub(crate) const fn refusal_reason(refusal: &Refusal) -> ErrorReason {
    match refusal {
        Refusal::ProductNotFound(_) => ErrorReason::ProductNotFound,
        Refusal::SeatMapNotFound(_) => ErrorReason::SeatMapNotFound,
        Refusal::SeatNotFound(_) => ErrorReason::SeatNotFound,
        Refusal::SeatTaken(_) => ErrorReason::SeatTaken,
        Refusal::SeatBlocked(_) => ErrorReason::SeatBlocked,
        Refusal::InsufficientStock { .. } => ErrorReason::InsufficientStock,
        Refusal::CurrencyMismatch { .. } => ErrorReason::CurrencyMismatch,
        Refusal::TotalTooLarge => ErrorReason::TotalTooLarge,
        Refusal::IdReused(_) => ErrorReason::IdReused,
        Refusal::CustomerLimit { .. } => ErrorReason::CustomerLimit,
        Refusal::OpenHoldsLimit { .. } => ErrorReason::OpenHoldsLimit,
    }
}

fn refused(refusal: Refusal, line: Option<usize>) -> pb::RefusedHold {
    let reason = refusal_reason(&refusal);
    let seat = |key: SeatKey| vec![("seat_map_id", key.seat_map_id.to_string()), ("label", key.label)];
    let metadata = match refusal {
        Refusal::ProductNotFound(id) => vec![("product_id", id.to_string())],
        Refusal::SeatMapNotFound(id) => vec![("seat_map_id", id.to_string())],
        Refusal::SeatNotFound(key) | Refusal::SeatTaken(key) | Refusal::SeatBlocked(key) => seat(key),
        Refusal::InsufficientStock { product_id, requested, available } => vec![
            ("product_id", product_id.to_string()),
            ("requested", requested.to_string()),
            ("available", available.to_string()),
        ],
        Refusal::CurrencyMismatch { first, other } => vec![("first", first), ("other", other)],
        Refusal::TotalTooLarge => vec![],
        Refusal::IdReused(key) => vec![("booking_id", key.booking_id.to_string())],
        Refusal::CustomerLimit { counted, limit, has, requested } => {
            let mut metadata = of_customer(limit, has);
            metadata.push(("requested", requested.to_string()));
            metadata.extend(counted_id(counted));
            metadata
        }
        Refusal::OpenHoldsLimit { limit, has } => of_customer(limit, has),
    };
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    let line = line.and_then(|line| i32::try_from(line).ok()).unwrap_or(-1);
    pb::RefusedHold { reason: reason.into(), line, metadata }
}

fn of_customer(limit: i64, has: i64) -> Vec<(&'static str, String)> {
    vec![("limit", limit.to_string()), ("has", has.to_string())]
}

/// What is counted, by its field; open holds have no id.
pub(super) fn counted_id(counted: Counted) -> Option<(&'static str, String)> {
    match counted {
        Counted::OpenHolds => None,
        Counted::Product(id) => Some(("product_id", id.to_string())),
        Counted::SeatMap(id) => Some(("seat_map_id", id.to_string())),
    }
}

/// The outcome of a verdict.
#[must_use]
pub const fn settle_outcome(outcome: settle::Outcome) -> pb::SettleOutcome {
    match outcome {
        settle::Outcome::Settled => pb::SettleOutcome::Settled,
        settle::Outcome::Unchanged => pb::SettleOutcome::Unchanged,
        settle::Outcome::Unknown => pb::SettleOutcome::Unknown,
    }
}

/// The name of a hold.
#[must_use]
pub fn encode_key(key: HoldKey) -> pb::HoldKey {
    pb::HoldKey { booking_id: key.booking_id.to_string(), attempt: key.attempt }
}
