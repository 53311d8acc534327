//! What has to be true, always or in the end, and what has to be seen once so that the rest is not true of nothing.

use catalog::domain::hold::HoldState;
use reservation::domain::{
    booking::StateName::{Cancelled, Confirmed, Expired, Held, Initiated, PaymentPending, Refunded},
    command::PaymentOutcome::RefundDue,
};
use stateright::Property;

use crate::{
    Protocol,
    bounds::Bounds,
    state::{Call, Carried, Case, Flaws, Record, State, Timer, Verdicts},
};

/// Invariant 1.
pub const STOCK: &str = "1: held and sold are the sums over the holds, and fit what is on hand";
/// Invariant 2.
pub const SEAT: &str = "2: a seat is in at most one hold that is not RELEASED, and says so";
/// Invariant 3.
pub const VERDICTS: &str = "3: only ended bookings' holds are RELEASED, only paid ones' are COMMITTED";
/// Invariant 4.
pub const TABLE: &str = "4: bookings move along the table";
/// Invariant 5.
pub const IN_TIME: &str = "5: none is CONFIRMED at or after its deadline";
/// The other side of it: none loses what is left of its time.
pub const NOT_EARLY: &str = "none is EXPIRED before its deadline";
/// Invariant 6.
pub const REST: &str = "6: in the calm, every hold is settled in the end";
/// Invariant 7, as far as commits show it.
pub const IN_BOTH: &str = "7: what was ever HELD is in both databases";
/// Invariant 8.
pub const REPEATS: &str = "8: a repeat changes nothing";
/// What all of it is for.
pub const SOLD_ONCE: &str = "nothing is promised twice";
/// Late money.
pub const ANNOUNCED: &str = "money that must go back is announced";
/// Why [`REST`] may be trusted.
pub const PROGRESS: &str = "every step of the calm system brings it nearer to rest";

/// All of them.
pub const ALL: [&str; 12] = [
    STOCK, SEAT, VERDICTS, TABLE, IN_TIME, NOT_EARLY, REST, IN_BOTH, REPEATS, SOLD_ONCE, ANNOUNCED, PROGRESS,
];

type Condition = fn(&Protocol, &State) -> bool;

const INVARIANTS: [(&str, Condition); 10] = [
    (STOCK, stock_adds_up),
    (SEAT, seat_has_one_holder),
    (VERDICTS, |_, state| state.cases.iter().all(settled_as_decided)),
    (TABLE, |_, state| !state.flaws.has(Flaws::ILLEGAL_MOVE)),
    (IN_TIME, |_, state| !state.flaws.has(Flaws::CONFIRMED_LATE)),
    (NOT_EARLY, |_, state| !state.flaws.has(Flaws::EXPIRED_EARLY)),
    (IN_BOTH, |_, state| state.cases.iter().all(in_both)),
    (REPEATS, |_, state| !state.flaws.has(Flaws::REPEATED)),
    (SOLD_ONCE, promised_once),
    (ANNOUNCED, |_, state| !state.flaws.has(Flaws::UNANNOUNCED)),
];

/// What may be seen: worlds name those that they have to show.
const SIGHTS: [(&str, Condition); 10] = [
    ("a booking is paid and its units are sold", |_, s| {
        any(s, |c| ended(c, Confirmed, HoldState::Committed))
    }),
    ("a hold runs out and is released", |_, s| any(s, |c| ended(c, Expired, HoldState::Released))),
    ("a cancelled hold is released", |_, s| any(s, |c| ended(c, Cancelled, HoldState::Released))),
    ("sold units come back", |_, s| any(s, |c| ended(c, Refunded, HoldState::Released))),
    ("an orphan gets a tombstone and is released", |_, s| {
        any(s, |c| c.record.is_some_and(|r| r.tombstone) && hold_is(c, 1, HoldState::Released))
    }),
    ("money that came after the end is due back", |_, s| {
        any(s, |c| is_in(c, Expired) && c.payments.contains(&Some(RefundDue)))
    }),
    ("money that came twice is due back", |_, s| {
        any(s, |c| is_in(c, Confirmed) && c.payments.contains(&Some(RefundDue)))
    }),
    ("an extended hold outlives its first deadline", |_, s| {
        any(s, |c| c.record.is_some_and(|r| r.state == Held && r.first_left <= 0 && r.left > 0))
    }),
    ("an attempt is superseded and the next one is HELD", |_, s| {
        any(s, |c| c.record.is_some_and(|r| r.state == Held && r.attempt > 1))
    }),
    ("what ran out for one is sold to the other", |_, s| {
        any(s, |c| ended(c, Expired, HoldState::Released))
            && any(s, |c| ended(c, Confirmed, HoldState::Committed))
    }),
];

/// The properties of a world.
pub(crate) fn all(bounds: &Bounds) -> Vec<Property<Protocol>> {
    let always = INVARIANTS.into_iter().map(|(name, condition)| Property::always(name, condition));
    let sights = SIGHTS.into_iter().filter(|(name, _)| bounds.sights.contains(name));
    let mut all: Vec<_> =
        always.chain(sights.map(|(name, condition)| Property::sometimes(name, condition))).collect();
    if bounds.calm {
        all.push(Property::always(PROGRESS, |_, state: &State| !state.flaws.has(Flaws::STALLED)));
        all.push(Property::eventually(REST, rests));
    }
    all
}

/// Units of the holds that are in this state.
fn units_in(protocol: &Protocol, state: &State, wanted: HoldState) -> i8 {
    let holds = state.cases.iter().flat_map(|case| case.holds.iter().flatten());
    holds.filter(|hold| hold.state == wanted).map(|hold| protocol.units(hold.other)).sum()
}

fn stock_adds_up(protocol: &Protocol, state: &State) -> bool {
    state.held == units_in(protocol, state, HoldState::Active)
        && state.sold == units_in(protocol, state, HoldState::Committed)
        && state.held + state.sold <= protocol.bounds.on_hand
}

fn seat_has_one_holder(protocol: &Protocol, state: &State) -> bool {
    if !protocol.bounds.seat {
        return state.seat.is_none();
    }
    let mut holders = (0u8..).zip(&state.cases).flat_map(|(booking, case)| {
        (1u8..).zip(case.holds).filter_map(move |(attempt, hold)| Some((booking, attempt, hold?.state)))
    });
    let mut live = holders.by_ref().filter(|(_, _, hold)| *hold != HoldState::Released);
    let holder = live.next();
    let said = state.seat.map(|taken| {
        let hold = if taken.sold { HoldState::Committed } else { HoldState::Active };
        (taken.booking, taken.attempt, hold)
    });
    holder == said && live.next().is_none()
}

/// The holds of earlier attempts are nobody's; the hold of the booking's own attempt goes with the booking.
fn settled_as_decided(case: &Case) -> bool {
    (1u8..).zip(case.holds).all(|(attempt, hold)| match (hold.map(|hold| hold.state), case.record) {
        (None | Some(HoldState::Active), _) => true,
        (Some(_), None) => false,
        (Some(HoldState::Released), Some(record)) => {
            attempt < record.attempt || matches!(record.state, Expired | Cancelled | Refunded)
        }
        (Some(HoldState::Committed), Some(record)) => {
            attempt == record.attempt && matches!(record.state, Confirmed | Refunded)
        }
    })
}

fn in_both(case: &Case) -> bool {
    let Some(record) = case.record.filter(|record| record.had_hold) else { return true };
    case.holds[usize::from(record.attempt) - 1].is_some_and(|hold| hold.other == record.other)
}

/// Whoever has a hold that has not ended or a booking that is paid, has units that nobody else has.
fn promised_once(protocol: &Protocol, state: &State) -> bool {
    let promised = |record: &Record| matches!(record.state, Held | PaymentPending | Confirmed);
    let records = || state.cases.iter().filter_map(|case| case.record).filter(promised);
    let units: i8 = records().map(|record| protocol.units(record.other)).sum();
    units <= protocol.bounds.on_hand && (!protocol.bounds.seat || records().count() <= 1)
}

/// Nothing is under way, nothing is open, and both databases agree. Nothing can happen after it.
fn rests(_: &Protocol, state: &State) -> bool {
    state.calm
        && state.cases.iter().all(|case| {
            let at_work = case.timer_row
                || case.settle_rows != Verdicts::default()
                || case.astray != Verdicts::default()
                || case.timers.iter().any(|timer| *timer != Timer::None)
                || case.sweeps.iter().any(|carried| *carried != Carried::Nothing)
                || case.calls.iter().any(|call| *call != Call::None);
            !at_work && agree(case)
        })
}

/// The catalog has carried out what reservation decided.
fn agree(case: &Case) -> bool {
    let paid = match &case.record {
        Some(record) if matches!(record.state, Initiated | Held | PaymentPending) => return false,
        Some(record) if record.state == Confirmed => Some(record.attempt),
        _ => None,
    };
    (1u8..).zip(case.holds).all(|(attempt, hold)| match hold {
        None => paid != Some(attempt),
        Some(hold) if paid == Some(attempt) => hold.state == HoldState::Committed,
        Some(hold) => hold.state == HoldState::Released,
    })
}

fn any(state: &State, seen: impl Fn(&Case) -> bool) -> bool {
    state.cases.iter().any(seen)
}

fn is_in(case: &Case, state: reservation::domain::booking::StateName) -> bool {
    case.record.is_some_and(|record| record.state == state && record.had_hold)
}

fn hold_is(case: &Case, attempt: u8, state: HoldState) -> bool {
    case.holds[usize::from(attempt) - 1].is_some_and(|hold| hold.state == state)
}

fn ended(case: &Case, state: reservation::domain::booking::StateName, hold: HoldState) -> bool {
    is_in(case, state) && case.record.is_some_and(|record| hold_is(case, record.attempt, hold))
}
