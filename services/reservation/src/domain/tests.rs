//! The booking's state machine: its table, its rules theme by theme, and laws that hold in random lives of bookings.
//! Here stands what all of them start from.

mod attempts;
mod extension;
mod laws;
mod lives;
mod payments;
mod promise_laws;
mod promises;
mod table;
mod values;
mod window;

use time::{Duration, OffsetDateTime, macros::datetime};
use uuid::Uuid;

use super::{
    booking::{Booking, Hold, State, StateName},
    command::{Change, Command, Known, Payment, Placed, Policy, Refusal, Reply},
    ids::{Attempt, BookingId, RefundId},
    line::{Item, Line},
};

const CREATED: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
/// When the bookings of [`in_state`] run out: one hold time after they were created and held.
const DEADLINE: OffsetDateTime = datetime!(2026-03-01 12:01 UTC);
const TTL: Duration = Duration::seconds(60);
const POLICY: Policy = Policy { payment_window: Duration::seconds(120), max_hold: Duration::seconds(1_800) };
/// The least that the clock can tell apart.
const TICK: Duration = Duration::microseconds(1);

fn own_id() -> BookingId {
    Uuid::from_u128(1).into()
}

fn other_id() -> BookingId {
    Uuid::from_u128(2).into()
}

fn paid(number: u128) -> Payment {
    Payment { id: Uuid::from_u128(number).into(), success: true }
}

fn failed(number: u128) -> Payment {
    Payment { id: Uuid::from_u128(number).into(), success: false }
}

fn refund_id(number: u128) -> RefundId {
    Uuid::from_u128(number).into()
}

fn attempt(number: i32) -> Attempt {
    Attempt::try_from(number).expect("attempts of tests count from 1")
}

/// The attempt that the bookings of [`in_state`] are at: there is one before it.
fn own_attempt() -> Attempt {
    attempt(2)
}

/// The payment that the paid bookings of [`in_state`] were paid with.
fn paid_before() -> Payment {
    paid(100)
}

/// The refund of the booking that [`in_state`] makes REFUNDED.
fn refunded_before() -> RefundId {
    refund_id(200)
}

fn placed(attempt: Attempt) -> Placed {
    Placed { attempt, ttl: TTL, currency: "EUR".to_owned(), unit_prices_minor: vec![250, 1_000] }
}

fn hold() -> Hold {
    Hold {
        held_at: CREATED,
        ttl: TTL,
        deadline: DEADLINE,
        window_given: false,
        currency: "EUR".to_owned(),
        total_minor: 1_500,
    }
}

/// Two units of a product for 250 each, and a seat for 1,000.
fn lines(priced: bool) -> Vec<Line> {
    let price = |minor| priced.then_some(minor);
    let product = Item::Product { product_id: Uuid::from_u128(11), quantity: 2 };
    let seat = Item::Seat { seat_map_id: Uuid::from_u128(12), label: "12A".to_owned() };
    vec![
        Line { item: product, unit_price_minor: price(250) },
        Line { item: seat, unit_price_minor: price(1_000) },
    ]
}

fn booking(state: State) -> Booking {
    Booking {
        id: own_id(),
        customer_id: "ada".to_owned(),
        lines: lines(state.hold().is_some()),
        asked_ttl_ms: None,
        attempt: own_attempt(),
        history_length: 1,
        state,
        created_at: CREATED,
        updated_at: CREATED,
    }
}

/// A booking in this state; while it is open it runs out at [`DEADLINE`].
fn in_state(name: StateName) -> Booking {
    let (hold, payment_id) = (hold(), paid_before().id);
    booking(match name {
        StateName::Initiated => State::Initiated { deadline: DEADLINE },
        StateName::Held => State::Held(hold),
        StateName::PaymentPending => State::PaymentPending(hold),
        StateName::Confirmed => State::Confirmed { hold, payment_id },
        StateName::Refunded => State::Refunded { hold, payment_id, refund_id: refunded_before() },
        StateName::Cancelled => State::Cancelled { hold: Some(hold) },
        StateName::Expired => State::Expired { hold: Some(hold), expired_at: DEADLINE },
    })
}

/// Applies a command whose payment or refund is new.
fn apply(booking: &mut Booking, command: &Command, now: OffsetDateTime) -> (Change, Result<Reply, Refusal>) {
    booking.apply(command, Known::Unused, &POLICY, now)
}

/// Applies a command that is not refused.
fn obey(booking: &mut Booking, command: &Command, now: OffsetDateTime) -> Change {
    let (change, answer) = apply(booking, command, now);
    assert!(answer.is_ok(), "{command:?} was refused: {answer:?}");
    change
}

/// What the clock alone makes of a booking: EXPIRED, if it is open and its deadline has come.
fn aged(booking: &Booking, now: OffsetDateTime) -> Booking {
    let hold = match &booking.state {
        State::Initiated { deadline } if now >= *deadline => None,
        State::Held(hold) | State::PaymentPending(hold) if now >= hold.deadline => Some(hold.clone()),
        _ => return booking.clone(),
    };
    Booking {
        state: State::Expired { hold, expired_at: now },
        history_length: booking.history_length + 1,
        updated_at: now,
        ..booking.clone()
    }
}
