//! Protobuf to domain and back, nothing else.

pub(crate) mod audit;

use std::collections::HashMap;

use api::{Violation, Violations, field};
use proto::{
    catalog::{self, HoldKey, Money, ProductItem, RefusedHold, SeatItem},
    reservation as pb,
};
use time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::{
    domain::{
        actor::Actor,
        booking::{State, StateName},
        ids::{Attempt, BookingId},
        line::{Item, Line},
    },
    error::Error,
    store::{history, row::Seen},
};

/// The most lines of a booking.
const MAX_LINES: usize = 100;
/// The shortest and the longest hold that may be asked for, in ms.
pub(crate) const HOLD_TTL_MS: std::ops::RangeInclusive<i64> = 100..=86_400_000;

/// A booking id that must be there.
pub(crate) fn booking_id(value: &str) -> Result<BookingId, Violation> {
    field::uuid("booking_id", value).map(BookingId::from)
}

/// The key of a hold.
pub(crate) fn hold_key(path: &str, key: Option<&HoldKey>) -> Result<(BookingId, Attempt), Violations> {
    let key = field::required(path, key)?;
    let mut bad = Violations::default();
    let id = bad.keep(field::uuid(format_args!("{path}.booking_id"), &key.booking_id));
    let attempt = bad.keep(
        Attempt::try_from(key.attempt)
            .map_err(|error| Violation::new(format_args!("{path}.attempt"), error.to_string())),
    );
    let (id, attempt) = bad.complete((id, attempt))?;
    Ok((id.into(), attempt))
}

/// The lines of a new booking: a seat at most once, no prices.
pub(crate) fn lines(lines: &[pb::Line]) -> Result<Vec<Line>, Violations> {
    let mut bad = Violations::default();
    if bad.keep(field::count("lines", lines.len(), 1..=MAX_LINES)).is_none() {
        return Err(bad);
    }
    let mut seats = std::collections::HashSet::new();
    let mut parsed = Vec::with_capacity(lines.len());
    for (i, line) in lines.iter().enumerate() {
        let Some(item) = bad.keep_all(item(i, line)) else { continue };
        if let Item::Seat { seat_map_id, label } = &item
            && !seats.insert((*seat_map_id, label.clone()))
        {
            bad.add(Violation::new(format_args!("lines[{i}].seat"), "must not name a seat twice"));
        }
        parsed.push(Line::from(item));
    }
    bad.check()?;
    Ok(parsed)
}

fn item(i: usize, line: &pb::Line) -> Result<Item, Violations> {
    let mut bad = Violations::default();
    if line.unit_price.is_some() {
        bad.add(Violation::new(
            format_args!("lines[{i}].unit_price"),
            "must not be set: the catalog has the price",
        ));
    }
    match field::required(format_args!("lines[{i}].item"), line.item.as_ref())? {
        pb::line::Item::Product(product) => {
            let path = format!("lines[{i}].product");
            let id = bad.keep(field::uuid(format_args!("{path}.product_id"), &product.product_id));
            let quantity = bad.keep(field::quantity(format_args!("{path}.quantity"), product.quantity));
            let (product_id, quantity) = bad.complete((id, quantity))?;
            Ok(Item::Product { product_id, quantity })
        }
        pb::line::Item::Seat(seat) => {
            let path = format!("lines[{i}].seat");
            let id = bad.keep(field::uuid(format_args!("{path}.seat_map_id"), &seat.seat_map_id));
            let label = bad.keep(field::text(format_args!("{path}.label"), &seat.label, 1..=16));
            let (seat_map_id, label) = bad.complete((id, label))?;
            Ok(Item::Seat { seat_map_id, label })
        }
    }
}

/// A filter by state; unspecified is none.
pub(crate) fn state_filter(value: i32) -> Result<Option<StateName>, Violation> {
    Ok(match field::known::<pb::BookingState>("state", value)? {
        pb::BookingState::Unspecified => None,
        pb::BookingState::Initiated => Some(StateName::Initiated),
        pb::BookingState::Held => Some(StateName::Held),
        pb::BookingState::PaymentPending => Some(StateName::PaymentPending),
        pb::BookingState::Confirmed => Some(StateName::Confirmed),
        pb::BookingState::Refunded => Some(StateName::Refunded),
        pb::BookingState::Cancelled => Some(StateName::Cancelled),
        pb::BookingState::Expired => Some(StateName::Expired),
    })
}

const fn state(name: StateName) -> pb::BookingState {
    match name {
        StateName::Initiated => pb::BookingState::Initiated,
        StateName::Held => pb::BookingState::Held,
        StateName::PaymentPending => pb::BookingState::PaymentPending,
        StateName::Confirmed => pb::BookingState::Confirmed,
        StateName::Refunded => pb::BookingState::Refunded,
        StateName::Cancelled => pb::BookingState::Cancelled,
        StateName::Expired => pb::BookingState::Expired,
    }
}

/// The resource, with what is left of its time at the instant at which it was seen.
pub(crate) fn booking(seen: &Seen) -> pb::Booking {
    let booking = &seen.booking;
    let hold = booking.state.hold();
    let money = |minor_units| hold.map(|hold| Money { currency_code: hold.currency.clone(), minor_units });
    let remaining = booking.state.open_until().map_or(Duration::ZERO, |deadline| deadline - seen.now);
    let (payment_id, refund_id) = match &booking.state {
        State::Confirmed { payment_id, .. } => (payment_id.to_string(), String::new()),
        State::Refunded { payment_id, refund_id, .. } => (payment_id.to_string(), refund_id.to_string()),
        _ => (String::new(), String::new()),
    };
    pb::Booking {
        booking_id: booking.id.to_string(),
        customer_id: booking.customer_id.clone(),
        state: state(booking.state.name()).into(),
        lines: booking
            .lines
            .iter()
            .map(|line| pb::Line {
                item: Some(encode_item(&line.item)),
                unit_price: line.unit_price_minor.and_then(money),
            })
            .collect(),
        total: hold.and_then(|hold| money(hold.total_minor)),
        expire_time: booking.deadline().map(api::time::to_timestamp),
        remaining: Some(api::time::to_duration(remaining.max(Duration::ZERO))),
        expired_time: match &booking.state {
            State::Expired { expired_at, .. } => Some(api::time::to_timestamp(*expired_at)),
            _ => None,
        },
        create_time: Some(api::time::to_timestamp(booking.created_at)),
        update_time: Some(api::time::to_timestamp(booking.updated_at)),
        payment_id,
        refund_id,
    }
}

fn encode_item(item: &Item) -> pb::line::Item {
    match item {
        Item::Product { product_id, quantity } => {
            pb::line::Item::Product(ProductItem { product_id: product_id.to_string(), quantity: *quantity })
        }
        Item::Seat { seat_map_id, label } => {
            pb::line::Item::Seat(SeatItem { seat_map_id: seat_map_id.to_string(), label: label.clone() })
        }
    }
}

/// One step of the history.
pub(crate) fn history_entry(entry: &history::Entry, reader: &Actor) -> pb::BookingHistoryEntry {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    // Who works for the shop, and by which request, is no business of its customers.
    let is_shown = reader.customer().is_none_or(|own| entry.subject.as_deref() == Some(own));
    let shown = |of: &Option<String>| if is_shown { text(of) } else { String::new() };
    pb::BookingHistoryEntry {
        sequence: entry.sequence,
        from_state: entry.from.map_or(pb::BookingState::Unspecified, state).into(),
        to_state: state(entry.to).into(),
        time: Some(api::time::to_timestamp(entry.happened_at)),
        expire_time: entry.expires_at.map(api::time::to_timestamp),
        reference_id: entry.reference.map(|id| id.to_string()).unwrap_or_default(),
        subject: shown(&entry.subject),
        role: text(&entry.role),
        method: text(&entry.method),
        request_id: shown(&entry.request_id),
    }
}

/// The catalog's refusal as the caller's error: the catalog's reason, and the field where a line is at fault.
pub(crate) fn refused_hold(refused: &RefusedHold) -> Error {
    use catalog::ErrorReason as Reason;
    let (code, message, part) = match refused.reason() {
        Reason::InsufficientStock => {
            (Code::FailedPrecondition, "fewer units are available than asked for", "")
        }
        Reason::CustomerLimit => (Code::FailedPrecondition, "one customer may not have as many as that", ""),
        Reason::OpenHoldsLimit => (Code::FailedPrecondition, "one customer may not have more open holds", ""),
        Reason::SeatTaken => (Code::FailedPrecondition, "the seat is taken", ""),
        Reason::SeatBlocked => (Code::FailedPrecondition, "the seat is not on sale", ""),
        Reason::ProductNotFound => (Code::NotFound, "the product does not exist", ".product.product_id"),
        Reason::SeatMapNotFound => (Code::NotFound, "the seat map does not exist", ".seat.seat_map_id"),
        Reason::SeatNotFound => (Code::NotFound, "the seat does not exist", ".seat.label"),
        Reason::CurrencyMismatch => (Code::InvalidArgument, "all lines must have prices in one currency", ""),
        Reason::TotalTooLarge => (Code::InvalidArgument, "the total is more than can be paid", ""),
        Reason::Overloaded => return Error::Overloaded,
        reason => {
            tracing::error!(?reason, "the catalog refused for a reason that is not one of holds");
            return Error::Failed(crate::error::Failure::Defect);
        }
    };
    let metadata: HashMap<String, String> = refused.metadata.clone();
    let mut details = ErrorDetails::with_error_info(
        api::reason_name(refused.reason().as_str_name()),
        api::DOMAIN,
        metadata,
    );
    let at_fault = matches!(code, Code::NotFound | Code::InvalidArgument);
    if at_fault {
        let path =
            if refused.line < 0 { "lines".to_owned() } else { format!("lines[{}]{part}", refused.line) };
        details.add_bad_request_violation(path, message);
    }
    Error::HoldRefused(Box::new(Status::with_error_details(code, message, details)))
}
