//! Seats: sold once each, and what an operator may do to them meanwhile.

use std::{fmt, str::FromStr};

use super::money::Price;

/// What a seat is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatState {
    /// On sale.
    Free,
    /// In the open hold of one booking.
    Held,
    /// Sold to one booking.
    Sold,
    /// Taken off sale by the operator.
    Blocked,
}

/// A text that is no seat's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seat is FREE, HELD, SOLD or BLOCKED")]
pub struct NotASeatState;

impl SeatState {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Free => "FREE",
            Self::Held => "HELD",
            Self::Sold => "SOLD",
            Self::Blocked => "BLOCKED",
        }
    }
}

impl FromStr for SeatState {
    type Err = NotASeatState;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let states = [Self::Free, Self::Held, Self::Sold, Self::Blocked];
        states.into_iter().find(|state| state.as_str() == name).ok_or(NotASeatState)
    }
}

impl fmt::Display for SeatState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One seat of a seat map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Its name, unique in its map.
    pub label: String,
    /// Its place in the map's order, from 0.
    pub position: i32,
    /// The part of the house or cabin.
    pub section: String,
    /// The row's name.
    pub row: String,
    /// The number within the row.
    pub number: i32,
    /// Its price.
    pub price: Price,
    /// What it is at the moment.
    pub state: SeatState,
}

/// What an operator does with a seat's place on sale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeatAction {
    /// Takes a FREE seat off sale.
    Block,
    /// Puts a BLOCKED seat back on sale.
    Unblock,
}

/// The seat is held or sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeatTaken;

impl Seat {
    /// The seat after an operator's change. Only a FREE seat can be blocked; a price counts for later holds.
    pub fn change(self, action: Option<SeatAction>, price: Option<Price>) -> Result<Self, SeatTaken> {
        let state = match (action, self.state) {
            (None, state) | (Some(SeatAction::Unblock), state @ (SeatState::Held | SeatState::Sold)) => state,
            (Some(SeatAction::Block), SeatState::Held | SeatState::Sold) => return Err(SeatTaken),
            (Some(SeatAction::Block), SeatState::Free | SeatState::Blocked) => SeatState::Blocked,
            (Some(SeatAction::Unblock), SeatState::Free | SeatState::Blocked) => SeatState::Free,
        };
        Ok(Self { state, price: price.unwrap_or(self.price), ..self })
    }
}

#[cfg(test)]
mod tests {
    use SeatAction::{Block, Unblock};
    use SeatState::{Blocked, Free, Held, Sold};

    use super::*;

    fn seat(state: SeatState) -> Seat {
        let price = Price::new("EUR".parse().unwrap(), 100).unwrap();
        Seat {
            label: "12A".to_owned(),
            position: 0,
            section: String::new(),
            row: "12".to_owned(),
            number: 1,
            price,
            state,
        }
    }

    #[test]
    fn only_seats_that_nobody_has_change_their_place_on_sale() {
        for (before, action, after) in [
            (Free, Block, Ok(Blocked)),
            (Blocked, Block, Ok(Blocked)),
            (Held, Block, Err(SeatTaken)),
            (Sold, Block, Err(SeatTaken)),
            (Free, Unblock, Ok(Free)),
            (Blocked, Unblock, Ok(Free)),
            (Held, Unblock, Ok(Held)),
            (Sold, Unblock, Ok(Sold)),
        ] {
            assert_eq!(
                seat(before).change(Some(action), None).map(|seat| seat.state),
                after,
                "{before} {action:?}"
            );
        }
    }

    #[test]
    fn a_price_changes_whatever_the_state_and_nothing_else_does() {
        let price = Price::new("EUR".parse().unwrap(), 250).unwrap();
        for state in [Free, Held, Sold, Blocked] {
            assert_eq!(seat(state).change(None, Some(price)), Ok(Seat { price, ..seat(state) }));
        }
    }

    #[test]
    fn states_are_read_from_their_names() {
        for state in [Free, Held, Sold, Blocked] {
            assert_eq!(state.to_string().parse(), Ok(state));
        }
        assert_eq!("free".parse::<SeatState>(), Err(NotASeatState));
    }
}
