//! Seats of the API and of the domain.

use std::{collections::HashSet, fmt::Display};

use api::{Violation, Violations, field};
use proto::catalog::{
    ListSeatsRequest, Seat, SeatAction as ProtoAction, SeatState as ProtoState, UpdateSeatsRequest,
};

use super::money;
use crate::domain::{
    ids::SeatMapId,
    money::Price,
    seat::{self, SeatAction, SeatState},
};

/// The most seats of one update.
const MAX_LABELS: usize = 1_000;

/// A change of seats of one map. An action or a price is there.
#[derive(Clone, Debug)]
pub struct SeatsChange {
    /// The map.
    pub seat_map_id: SeatMapId,
    /// The seats, each once.
    pub labels: Vec<String>,
    /// What to do with their place on sale.
    pub action: Option<SeatAction>,
    /// Their new price.
    pub price: Option<Price>,
}

/// Reads a seat's label.
pub fn label(path: impl Display, label: &str) -> Result<String, Violation> {
    field::text(path, label, 1..=16)
}

/// Reads the request for a change of seats.
pub fn change(request: &UpdateSeatsRequest) -> Result<SeatsChange, Violations> {
    let mut bad = Violations::default();
    let id = bad.keep(field::uuid("seat_map_id", &request.seat_map_id));
    let labels = bad.keep_all(labels(&request.labels));
    let action = bad.keep(action(request.action));
    let price = match &request.price {
        None => Some(None),
        price => bad.keep_all(money::price("price", price.as_ref())).map(Some),
    };
    if action == Some(None) && price == Some(None) {
        bad.add(Violation::new("action", "an action or a price is required"));
    }
    let (id, labels, action, price) = bad.complete((id, labels, action, price))?;
    Ok(SeatsChange { seat_map_id: id.into(), labels, action, price })
}

fn labels(labels: &[String]) -> Result<Vec<String>, Violations> {
    field::count("labels", labels.len(), 1..=MAX_LABELS)?;
    let mut bad = Violations::default();
    let mut seen = HashSet::with_capacity(labels.len());
    for (i, text) in labels.iter().enumerate() {
        bad.keep(label(format_args!("labels[{i}]"), text));
        if !seen.insert(text) {
            bad.add(Violation::new(format_args!("labels[{i}]"), "must be named once"));
        }
    }
    bad.check()?;
    Ok(labels.to_vec())
}

fn action(action: i32) -> Result<Option<SeatAction>, Violation> {
    Ok(match field::known("action", action)? {
        ProtoAction::Unspecified => None,
        ProtoAction::Block => Some(SeatAction::Block),
        ProtoAction::Unblock => Some(SeatAction::Unblock),
    })
}

/// Reads the filter of a listing: which map, and which state; `None`: any.
pub fn filter(request: &ListSeatsRequest) -> Result<(SeatMapId, Option<SeatState>), Violations> {
    let mut bad = Violations::default();
    let id = bad.keep(field::uuid("seat_map_id", &request.seat_map_id));
    let state = bad.keep(field::known("state", request.state).map(from_state));
    let (id, state) = bad.complete((id, state))?;
    Ok((id.into(), state))
}

fn from_state(state: ProtoState) -> Option<SeatState> {
    match state {
        ProtoState::Unspecified => None,
        ProtoState::Free => Some(SeatState::Free),
        ProtoState::Held => Some(SeatState::Held),
        ProtoState::Sold => Some(SeatState::Sold),
        ProtoState::Blocked => Some(SeatState::Blocked),
    }
}

fn to_state(state: SeatState) -> ProtoState {
    match state {
        SeatState::Free => ProtoState::Free,
        SeatState::Held => ProtoState::Held,
        SeatState::Sold => ProtoState::Sold,
        SeatState::Blocked => ProtoState::Blocked,
    }
}

/// A seat as the API shows it.
#[must_use]
pub fn to_proto(seat_map_id: SeatMapId, seat: seat::Seat) -> Seat {
    Seat {
        seat_map_id: seat_map_id.to_string(),
        label: seat.label,
        section: seat.section,
        row: seat.row,
        number: seat.number,
        price: Some(money::to_money(seat.price)),
        state: to_state(seat.state).into(),
    }
}
